//! What may be typed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};

use crate::drill::Level;
use crate::drill::fault::Fault;

/// Brings a dead kubeadm control plane back on a fresh host, over SSH, from an etcd snapshot and the root CA.
#[derive(Debug, Parser)]
#[command(name = "drctl", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Args {
    /// What every command takes.
    #[command(flatten)]
    pub globals: Globals,
    /// The command.
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0    done
  1    failed, and the target is as it was (rolled back)
  2    usage, inventory or playbook error
  3    a check failed and nothing was touched
  4    stopped part way, the checkpoint is kept: `drctl resume` or `drctl rollback`
  5    a rollback itself failed: a person is needed
  6    another run holds the target
  7    restored, but verification failed
  130  interrupted; the journal is closed";

/// What every command takes.
#[derive(Debug, Parser)]
pub struct Globals {
    /// What is written: text for people on stderr, or NDJSON on stdout
    #[arg(long, global = true, value_enum, default_value_t = Output::Human, value_name = "FORM")]
    pub output: Output,
    /// Folder of journals [default: the inventory's, else `$XDG_STATE_HOME/drctl` or `~/.local/state/drctl`]
    #[arg(long, global = true, env = "DRCTL_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The inventory: which cluster, onto which host, from what
    #[arg(short, long, global = true, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Show the output of commands; twice and thrice: logs too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Globals {
    /// Whether programs read.
    pub(super) fn json(&self) -> bool {
        self.output == Output::Json
    }
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text for people, on standard error.
    Human,
    /// NDJSON for programs, on standard output.
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check everything that can be checked without changing anything
    Check(Site),
    /// Show what a restore would do on this target
    Plan(Site),
    /// Check, plan, ask, and bring the control plane back
    Restore(Restore),
    /// Go on with a run that did not finish
    Resume(Resume),
    /// Put the target back as it was before a run
    Rollback(Rollback),
    /// Rehearse a restore on a throwaway target: make it, restore, prove, measure, report, destroy
    Drill(Drill),
    /// Look into snapshots: whether they are whole, what they hold, what changed, which there are
    Snapshot(Snapshot),
    /// List the runs of this controller
    Runs,
    /// Show what a run did, and when
    Show(Show),
    /// Verify the certificate authorities, or pack them into one encrypted file
    Pki(Pki),
    /// Print the playbook that is used by default
    Playbook(Playbook),
    /// Print the completions of a shell
    Completions(Completions),
    /// Write the manual pages into a folder
    Man(Man),
}

/// Which cluster, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Site {
    /// The playbook [default: the one shown by `drctl playbook show`]
    #[arg(short, long, value_name = "FILE")]
    pub(super) playbook: Option<PathBuf>,
    /// Go on in spite of this finding; may be given several times
    #[arg(long, value_name = "FINDING")]
    pub(super) accept: Vec<String>,
    /// Treat the lock of this run as abandoned: its controller is lost for ever
    #[arg(long, value_name = "RUN")]
    pub(super) take_over: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    #[command(flatten)]
    pub(super) site: Site,
    /// Do not ask before the first change
    #[arg(short, long)]
    pub(super) yes: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    /// The run, or how its id begins [default: the newest that did not finish]
    pub(super) run: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    /// The run, or how its id begins [default: the newest that did not finish]
    pub(super) run: Option<String>,
    /// Undo even a run that finished, although the cluster has lived on since
    #[arg(long)]
    pub(super) after_success: bool,
    /// Do not ask before the first change
    #[arg(short, long)]
    pub(super) yes: bool,
}

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Drill {
    #[command(subcommand)]
    pub(super) command: Option<DrillCommand>,
    #[command(flatten)]
    pub(super) site: Site,
    /// How much is proved [default: the inventory's, else the most that the target offers]
    #[arg(long, value_enum)]
    pub(super) level: Option<Level>,
    /// Break something on purpose, and see that the restore copes with it
    #[arg(long, value_enum)]
    pub(super) fault: Option<Fault>,
    /// Leave the target for a look at it; `drctl drill sweep` takes it away
    #[arg(long)]
    pub(super) keep: bool,
    /// Rehearse every inventory (`*.toml`) of a folder, and sum up
    #[arg(long, value_name = "DIR", conflicts_with_all = ["keep", "take_over"])]
    pub(super) all: Option<PathBuf>,
    /// How many of them at once
    #[arg(long, value_name = "COUNT", requires = "all", default_value_t = NonZeroUsize::MIN)]
    pub(super) parallel: NonZeroUsize,
}

#[derive(Debug, Subcommand)]
pub(super) enum DrillCommand {
    /// Take away what drills left that ended before their time
    Sweep,
    /// List the drills of this controller
    List,
    /// Print what drills regularly: systemd's units, or a `CronJob` of Kubernetes
    Schedule(Schedule),
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("form").args(["systemd", "kubernetes"]).required(true)))]
pub(super) struct Schedule {
    /// A service and its timer, for this machine
    #[arg(long)]
    pub(super) systemd: bool,
    /// A `CronJob`, for another cluster than those that are rehearsed
    #[arg(long)]
    pub(super) kubernetes: bool,
    /// Rehearse every inventory of a folder [default: the one of `--inventory`]
    #[arg(long, value_name = "DIR")]
    pub(super) all: Option<PathBuf>,
    /// How many of them at once
    #[arg(long, value_name = "COUNT", requires = "all", default_value_t = NonZeroUsize::MIN)]
    pub(super) parallel: NonZeroUsize,
    /// When: `hourly`, `daily`, `weekly`, `monthly`; else as systemd's `OnCalendar`, or as cron for Kubernetes
    #[arg(long, value_name = "WHEN", default_value = "daily")]
    pub(super) every: String,
    /// The image that has drctl and what the provider needs
    #[arg(long, requires = "kubernetes", value_name = "IMAGE", default_value = concat!("drctl:", env!("CARGO_PKG_VERSION")))]
    pub(super) image: String,
    /// Write files into this folder, rather than print; none may be there yet
    #[arg(long, value_name = "DIR")]
    pub(super) to: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The run, or how its id begins
    pub(super) run: String,
    /// Print the whole report in this form, made anew from the journal
    #[arg(long, value_enum, value_name = "FORM")]
    pub(super) report: Option<ReportForm>,
}

/// A form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportForm {
    /// For a browser, and for paper
    Html,
    /// For tickets and repositories
    Markdown,
    /// For programs
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct Snapshot {
    #[command(subcommand)]
    pub(super) command: SnapshotCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum SnapshotCommand {
    /// Prove that snapshots are whole: digest, pages, records
    Verify(Verify),
    /// Show what a snapshot holds, and of which cluster it is
    Inspect(Inspect),
    /// Show what came, went and changed between two snapshots
    Diff(Diff),
    /// List the snapshots of all sources, newest first, with the gaps between them
    List(List),
}

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// A file, `latest`, or a name that `drctl snapshot list` shows
    #[arg(required = true, value_name = "FILE|NAME")]
    pub(super) snapshots: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Inspect {
    /// A file, `latest`, or a name that `drctl snapshot list` shows
    #[arg(value_name = "FILE|NAME")]
    pub(super) snapshot: String,
    /// All resources and namespaces, not only the largest and first
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// The earlier one: a file, `latest`, or a name that `drctl snapshot list` shows
    #[arg(value_name = "FILE|NAME")]
    pub(super) first: String,
    /// The later one
    #[arg(value_name = "FILE|NAME")]
    pub(super) second: String,
    /// How many objects are listed; all are counted
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub(super) limit: usize,
    /// List all of them, however many
    #[arg(long, conflicts_with = "limit")]
    pub(super) all: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// A folder, instead of the sources of the inventory
    pub(super) folder: Option<PathBuf>,
    /// How many are listed and read, from the newest on
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    pub(super) limit: usize,
    /// List all of them
    #[arg(long, conflicts_with = "limit")]
    pub(super) all: bool,
    /// Read those of other hosts too: they are copied into the state folder
    #[arg(long)]
    pub(super) fetch: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Pki {
    #[command(subcommand)]
    pub(super) command: PkiCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum PkiCommand {
    /// Verify pairs, dates and uses, and that they are the newest snapshot's
    Verify(PkiVerify),
    /// Pack a folder's files into one file that only the recipients can open
    Bundle(PkiBundle),
}

#[derive(Debug, clap::Args)]
pub(super) struct PkiVerify {
    /// Verify this folder by itself, without an inventory and a snapshot
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct PkiBundle {
    /// The folder, with kubeadm's names: `ca.crt`, `ca.key`, `etcd/ca.crt` …
    #[arg(long, value_name = "DIR")]
    pub(super) from: PathBuf,
    /// The file to make; it must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(super) to: PathBuf,
    /// Who may open it, as `age-keygen -y` prints it; may be given several times
    #[arg(long, required = true, value_name = "AGE1…")]
    pub(super) recipient: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Playbook {
    #[command(subcommand)]
    pub(super) command: PlaybookCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum PlaybookCommand {
    /// Print the default playbook, to start one of your own from
    Show,
}

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// The folder
    pub(super) dir: PathBuf,
}

/// The whole command tree, for completions, manual pages and the documentation's tests.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}
