//! A rehearsal that is disturbed: the run is worked on by processes of drctl of their own, which can be killed.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::cli::exit::{Exit, Fault};
use crate::cli::restore::Begun;
use crate::drill::fault;
use crate::drill::link::Link;
use crate::drill::providers::Provider;
use crate::drill::{DrillFolder, Order};
use crate::event::Event;
use crate::runs::RunFolder;

/// Into a long step this far, its command is under way; a small restore takes less than a second.
const INTO: Duration = Duration::from_millis(200);
/// How long a cut link stays cut.
const CUT: Duration = Duration::from_secs(10);
/// Between two looks into the journal.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a run is taken up that stopped at its checkpoint.
const RESUMES: u32 = 3;
/// The step that is struck: the first of these in the playbook.
const LONG: [&str; 2] = ["kubeadm_init", "restore_etcd"];

/// What a disturbed run works with.
pub(super) struct GameDay<'a> {
    pub(super) fault: fault::Fault,
    pub(super) provider: &'a dyn Provider,
    pub(super) order: &'a Order,
    pub(super) folder: &'a DrillFolder,
    pub(super) link: &'a Link,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Disturbed {
    /// How the last process ended.
    pub(super) exit: Exit,
    /// What was done, as a sentence.
    pub(super) told: String,
    /// Whether it came about as it should.
    pub(super) as_expected: bool,
}

impl GameDay<'_> {
    /// Works on a run that was begun, through the fault, to its end.
    pub(super) async fn work(&self, begun: Begun) -> Result<Disturbed, Fault> {
        let folder = begun.folder.clone();
        let steps = &begun.run.playbook.steps;
        let struck = LONG.iter().find_map(|action| steps.iter().find(|step| step.kind.name == *action));
        let struck = struck.map(|step| step.name.clone());
        // Its journal and its lock are the next process's.
        drop(begun);
        let mut resumes = 1;
        let mut child = self.resume(&folder)?;
        let told = match struck {
            Some(step) if reached(&folder, &step, &mut child).await? => self.strike(&step, &mut child).await?,
            _ => None,
        };
        let mut exit = ended(&mut child).await?;
        while resumes < RESUMES && (exit == u8::from(Exit::Stopped) || exit == KILLED) {
            resumes += 1;
            exit = ended(&mut self.resume(&folder)?).await?;
        }
        let done = exit == u8::from(Exit::Done);
        let by_itself = resumes == 1;
        let as_expected = match self.fault {
            fault::Fault::CutLink => by_itself,
            fault::Fault::KillController => !by_itself,
            fault::Fault::RebootTarget | fault::Fault::CorruptSnapshot => true,
        };
        let then = if by_itself { "the run went on by itself" } else { "`resume` took it up" };
        Ok(Disturbed {
            exit: if done { Exit::Done } else { Exit::Stopped },
            as_expected: done && as_expected && told.is_some(),
            told: told.map_or_else(
                || "the run was over before it could be struck".to_owned(),
                |told| format!("{told}; {then}"),
            ),
        })
    }

    /// What was done; nothing when the run was quicker.
    async fn strike(&self, step: &str, child: &mut Child) -> Result<Option<String>, Fault> {
        tokio::time::sleep(INTO).await;
        if has_ended(child)? {
            return Ok(None);
        }
        Ok(Some(match self.fault {
            fault::Fault::KillController => {
                child.kill().await.map_err(|source| Fault::Io { what: "kill the controller".to_owned(), source })?;
                format!("drctl was killed in step `{step}`")
            }
            fault::Fault::CutLink => {
                self.link.cut();
                tokio::time::sleep(CUT).await;
                self.link.mend();
                format!("the link was cut for {}s in step `{step}`", CUT.as_secs())
            }
            fault::Fault::RebootTarget => match self.provider.reboot(self.order).await {
                Some(Ok(())) => format!("the target lost its power in step `{step}`"),
                Some(Err(error)) => return Err(Fault::Drill { message: error.to_string(), help: HELP.to_owned() }),
                None => {
                    let message = format!("{} cannot reboot a target", self.provider.label());
                    return Err(Fault::Drill { message, help: HELP.to_owned() });
                }
            },
            fault::Fault::CorruptSnapshot => return Ok(None),
        }))
    }

    /// What a person would type.
    fn resume(&self, folder: &RunFolder) -> Result<Child, Fault> {
        let failed = |source| Fault::Io { what: "start drctl again".to_owned(), source };
        Command::new(std::env::current_exe().map_err(failed)?)
            .arg("--state")
            .arg(&self.folder.dir)
            .args(["resume", &folder.id])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)
    }
}

const HELP: &str = "choose another `--fault`, or another provider";
/// Of a process that a signal ended.
const KILLED: u8 = 128;

/// Waits until a step has begun to change something, or its process has ended before.
async fn reached(folder: &RunFolder, step: &str, child: &mut Child) -> Result<bool, Fault> {
    let begun = Instant::now();
    loop {
        let (_, records) = folder.read()?;
        if records.iter().any(|record| matches!(&record.data, Event::StepKept { step: of } if of == step)) {
            return Ok(true);
        }
        if has_ended(child)? || begun.elapsed() > Duration::from_hours(2) {
            return Ok(false);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn has_ended(child: &mut Child) -> Result<bool, Fault> {
    let ended = child.try_wait().map_err(|source| Fault::Io { what: "wait for drctl".to_owned(), source })?;
    Ok(ended.is_some())
}

async fn ended(child: &mut Child) -> Result<u8, Fault> {
    let status = child.wait().await.map_err(|source| Fault::Io { what: "wait for drctl".to_owned(), source })?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(KILLED))
}
