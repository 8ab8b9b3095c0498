//! The command: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> std::io::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let exit = runtime.block_on(drctl::cli::run(std::env::args_os()));
    // Whoever interrupts it while a passphrase is asked for, or a snapshot unpacked, does not wait for that.
    runtime.shutdown_background();
    Ok(exit)
}
