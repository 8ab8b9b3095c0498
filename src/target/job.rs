//! Long commands that outlive the link: started at most once, followed from anywhere.
//!
//! A job is a folder, `<run>/<step>/<part>`, that appears whole by one rename. Its wrapper runs in a
//! session of its own (a unit of systemd where that is init) and is the only one to create `started`,
//! so the command begins at most once however often the start is asked for. Output and exit status
//! wait there for whoever follows the job; the time limit is kept by the target itself.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Target, TargetError, component, script};

/// How much of the end of the output a [`JobEnd`] keeps.
const TAIL_KEPT: usize = 64 << 10;
/// A line without end is cut into pieces of this size.
const LINE_KEPT: usize = 16 << 10;

/// The part of a step's `apply`.
pub const APPLY: &str = "apply";

/// A long command.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The step that it belongs to.
    pub step: &'a str,
    /// The attempt of the step: each begins its command at most once.
    pub attempt: u32,
    /// What it does for the step: `apply`, `undo`.
    pub part: &'a str,
    /// Shell text; runs as root with umask 022 and no input.
    pub command: &'a str,
    /// After this its processes get SIGTERM, and SIGKILL ten seconds later.
    pub limit: Duration,
    /// Whether a job that ended is begun anew: for commands that may be repeated.
    pub again: bool,
}

/// How following a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// The command ended.
    Exited {
        /// Its exit status.
        status: i32,
        /// The end of what it wrote.
        tail: String,
    },
    /// The limit passed and its processes were ended.
    TimedOut {
        /// The end of what it wrote.
        tail: String,
    },
    /// The target was started anew since: nobody knows how far the command came.
    Rebooted,
    /// The job's processes are gone and left no exit status.
    Lost,
    /// The run is being stopped; the job goes on.
    Interrupted,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Its command never began.
    NeverStarted,
    /// It runs.
    Running,
    /// Its command has ended, and what that wrote is being synced; the outcome is told after that.
    Syncing,
    /// It ended by itself.
    Exited {
        /// The command's exit status.
        status: i32,
    },
    /// It was ended at its limit.
    TimedOut,
    /// The target was started anew while it ran.
    Rebooted,
    /// Its processes are gone and left no exit status.
    Lost,
}

/// One look at a job.
struct News {
    state: JobState,
    size: u64,
    bytes: Vec<u8>,
}

impl Target {
    /// Starts the job, or finds it started, and follows it to its end.
    pub async fn job(
        &self,
        job: Job<'_>,
        on_line: &(dyn Fn(&str) + Sync),
        stop: &CancellationToken,
    ) -> Result<JobEnd, TargetError> {
        let folder = self.job_folder(job.step, job.attempt, job.part);
        self.start(&folder, job).await?;
        let mut seen = Seen::new(on_line);
        loop {
            let news = tokio::select! {
                () = stop.cancelled() => return Ok(JobEnd::Interrupted),
                news = self.news(&folder, seen.offset, 10) => news?,
            };
            seen.take(&news.bytes);
            if matches!(news.state, JobState::Running | JobState::Syncing) || seen.offset < news.size {
                continue;
            }
            let tail = seen.finish();
            return Ok(match news.state {
                JobState::Exited { status } => JobEnd::Exited { status, tail },
                JobState::TimedOut => JobEnd::TimedOut { tail },
                JobState::Rebooted => JobEnd::Rebooted,
                JobState::Lost | JobState::NeverStarted | JobState::Running | JobState::Syncing => JobEnd::Lost,
            });
        }
    }

    /// How a job stands, without starting it.
    pub async fn job_state(&self, step: &str, attempt: u32, part: &str) -> Result<JobState, TargetError> {
        Ok(self.news(&self.job_folder(step, attempt, part), 0, 0).await?.state)
    }

    /// Ends a job that may still run: SIGTERM to its processes, SIGKILL ten seconds later. One whose command has ended is
    /// waited for.
    pub async fn end_job(&self, step: &str, attempt: u32, part: &str) -> Result<(), TargetError> {
        let folder = self.job_folder(step, attempt, part);
        let what = format!("end the command of step `{step}`");
        self.change(&what, &script(&[("d", &folder)], include_str!("job_end.sh"))).await.map(drop)
    }

    fn job_folder(&self, step: &str, attempt: u32, part: &str) -> String {
        format!("{}/{attempt}-{}", self.step_folder(step), component(part))
    }

    async fn start(&self, folder: &str, job: Job<'_>) -> Result<(), TargetError> {
        let unit = format!("drctl-{}-{}-{}", self.run(), job.step, job.attempt);
        let unit: String = unit.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(120).collect();
        let values = [
            ("d", folder),
            ("wrapper", include_str!("job_wrapper.sh")),
            ("command", job.command),
            ("limit", &job.limit.as_secs().max(1).to_string()),
            ("unit", &unit),
            ("again", if job.again { "1" } else { "0" }),
        ];
        let what = format!("start the command of step `{}`", job.step);
        self.change(&what, &script(&values, include_str!("job_start.sh"))).await.map(drop)
    }

    async fn news(&self, folder: &str, from: u64, turns: u32) -> Result<News, TargetError> {
        let values = [("d", folder), ("from", &from.to_string()), ("turns", &turns.to_string())];
        let reply = self.look(&script(&values, include_str!("job_follow.sh"))).await?;
        let reply = self.succeeded("ask how a job stands", reply)?;
        read_news(&reply.stdout)
            .ok_or_else(|| self.unknown_answer("how a job stands", &String::from_utf8_lossy(&reply.stdout)))
    }
}

fn read_news(answer: &[u8]) -> Option<News> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let mut words = std::str::from_utf8(&answer[..end]).ok()?.split_ascii_whitespace();
    let state = words.next()?;
    let size = words.next()?.parse().ok()?;
    let state = match state {
        "never" => JobState::NeverStarted,
        "running" => JobState::Running,
        "syncing" => JobState::Syncing,
        "rebooted" => JobState::Rebooted,
        "lost" => JobState::Lost,
        "exited" => {
            let status = words.next()?.parse().ok()?;
            if words.next()? == "1" { JobState::TimedOut } else { JobState::Exited { status } }
        }
        _ => return None,
    };
    Some(News { state, size, bytes: answer[end + 1..].to_vec() })
}

/// The output so far: where to go on, the line that is not whole yet, the end.
struct Seen<'a> {
    offset: u64,
    line: Vec<u8>,
    tail: Vec<u8>,
    on_line: &'a (dyn Fn(&str) + Sync),
}

impl<'a> Seen<'a> {
    fn new(on_line: &'a (dyn Fn(&str) + Sync)) -> Self {
        Self { offset: 0, line: Vec::new(), tail: Vec::new(), on_line }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        self.tail.extend_from_slice(bytes);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_KEPT));
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in line.chunks(LINE_KEPT) {
                if self.line.len() + piece.len() > LINE_KEPT {
                    self.tell();
                }
                self.line.extend_from_slice(piece);
            }
            if line.ends_with(b"\n") {
                self.tell();
            }
        }
    }

    fn tell(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        (self.on_line)(line.trim_end_matches(['\r', '\n']));
        self.line.clear();
    }

    fn finish(mut self) -> String {
        if !self.line.is_empty() {
            self.tell();
        }
        String::from_utf8_lossy(&self.tail).into_owned()
    }
}
