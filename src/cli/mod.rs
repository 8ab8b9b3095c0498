//! The commands: arguments in, a call into the library, a face and an exit code out.

mod args;
pub(crate) mod ask;
mod check;
mod completions;
mod core_dumps;
mod drill;
mod evidence;
mod exit;
mod man;
mod pki;
mod plan;
mod playbook;
mod remedy;
mod restore;
mod resume;
mod rollback;
mod runs;
mod say;
mod session;
mod show;
mod snapshot;
mod taken_up;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

pub use args::{Args, command};
pub use exit::Exit;
pub use snapshot::answers;

use args::Command;

/// Runs one command to its end.
pub async fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are errors to clap, but not to people.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    log(args.globals.verbose);
    if let Err(error) = core_dumps::forbid() {
        tracing::error!(%error, "a crash of drctl may leave secrets in a core dump");
    }
    let outcome = match &args.command {
        Command::Check(command) => check::run(&args.globals, command).await,
        Command::Plan(command) => plan::run(&args.globals, command).await,
        Command::Restore(command) => restore::run(&args.globals, command).await,
        Command::Resume(command) => resume::run(&args.globals, command).await,
        Command::Rollback(command) => rollback::run(&args.globals, command).await,
        Command::Drill(command) => drill::run(&args.globals, command).await,
        Command::Snapshot(command) => snapshot::run(&args.globals, &command.command).await,
        Command::Runs => runs::run(&args.globals),
        Command::Show(command) => show::run(&args.globals, command),
        Command::Pki(command) => pki::run(&args.globals, command).await,
        Command::Playbook(command) => playbook::run(command),
        Command::Completions(command) => completions::run(command),
        Command::Man(command) => man::run(command),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(fault) => {
            fault.tell(args.globals.json());
            fault.exit().into()
        }
    }
}

/// Logs are for finding defects: silent unless asked for; russh's own name keys and hosts, so they need `DRCTL_LOG`.
fn log(verbose: u8) {
    let level = match verbose {
        0 => "error",
        1 => "drctl=info",
        2 => "drctl=debug",
        _ => "drctl=trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("DRCTL_LOG").unwrap_or_else(|_| level.into());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call in one process (tests) keeps the first subscriber.
    drop(subscriber.try_init());
}
