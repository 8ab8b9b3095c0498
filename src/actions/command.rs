//! Whatever else a procedure needs: a command on the target, with its own check, verify and undo.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::inventory::Span;
use crate::target::{APPLY, Job, JobEnd, JobState, Keep, quote};
use crate::text::{Text, Values};

/// Runs a command on the target as root, as a job that outlives the connection, at most once for each attempt.
///
/// What it leaves behind ends with it. A daemon that is to stay is a unit where systemd is init, and elsewhere lets go of
/// the job's lock: `setsid -f DAEMON </dev/null >>LOG 2>&1 9>&-`.
///
/// ```toml
/// [[step]]
/// name = "stop-kubelet"
/// action = "command"
/// run = "systemctl stop kubelet"
/// verify = "! systemctl is-active --quiet kubelet"
/// undo = "systemctl start kubelet"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    /// The command line, for the target's `sh`; values of `${names}` are quoted.
    run: Text,
    /// Must succeed before anything of the run begins; must change nothing.
    check: Option<Text>,
    /// Succeeds when the command took; without it the exit status decides.
    verify: Option<Text>,
    /// Undoes it; must be repeatable and bear that the command never ran.
    undo: Option<Text>,
    /// Paths that it changes: kept before, with what they lead to when they are links, and put back when it is undone.
    #[serde(default)]
    touches: Vec<Text>,
}

impl Declared for Command {
    const NAME: &'static str = "command";
    const OUTPUTS: &'static [&'static str] = &[];
}

#[async_trait]
impl Action for Command {
    fn texts(&self) -> Vec<&Text> {
        let one = [Some(&self.run), self.check.as_ref(), self.verify.as_ref(), self.undo.as_ref()];
        one.into_iter().flatten().chain(&self.touches).collect()
    }

    fn describe(&self, _: &PlanContext<'_>) -> Description {
        let details = match (&self.undo, self.touches.is_empty()) {
            (None, true) => vec!["cannot be undone: the step gives neither `undo` nor `touches`".to_owned()],
            _ => Vec::new(),
        };
        Description {
            summary: format!("run `{}`", self.run),
            details,
            touches: self.touches.iter().map(ToString::to_string).collect(),
        }
    }

    fn set_aside(&self, cx: &Context<'_>) -> Result<SetAside, ActionError> {
        if self.touches.is_empty() {
            return Ok(SetAside::Nothing { why: "the step names no paths that it changes" });
        }
        let paths = self.touches.iter().map(|path| cx.fill(path)).collect::<Result<Vec<String>, ActionError>>()?;
        let keeps = paths.into_iter().flat_map(|path| [Keep::copied(path.clone()), Keep::linked(path)]);
        Ok(SetAside::Paths(keeps.collect()))
    }

    async fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let (Some(check), Some(target)) = (&self.check, cx.target) else {
            return Vec::new();
        };
        // What an earlier step puts out cannot be checked before it ran.
        let Ok(line) = check.fill_with(cx.values, &|value| quote(value)) else {
            return Vec::new();
        };
        let said = match target.look(&line).await {
            Ok(reply) if reply.status == 0 => return Vec::new(),
            Ok(reply) => {
                format!("exit status {}: {}", reply.status, String::from_utf8_lossy(&reply.stderr).trim())
            }
            Err(error) => error.to_string(),
        };
        vec![Finding::error(
            "command-check",
            format!("`{line}` failed: {said}"),
            "see the step's `check` in the playbook",
        )]
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        run(cx, APPLY, &self.run, false).await?;
        Ok(Outcome::Done(Values::new()))
    }

    async fn verify(&self, cx: &Context<'_>) -> Result<Verdict, ActionError> {
        let Some(verify) = &self.verify else {
            return Ok(Verdict::Took(Values::new()));
        };
        let reply = cx.target.look(&line(cx, verify)?).await?;
        if reply.status == 0 {
            return Ok(Verdict::Took(Values::new()));
        }
        let said = String::from_utf8_lossy(&reply.stderr).trim().to_owned();
        Ok(Verdict::DidNot { reason: format!("its `verify` ended with status {}: {said}", reply.status) })
    }

    /// Without a `verify` of its own nobody but a person can tell what an interrupted command did.
    async fn settle(&self, cx: &Context<'_>) -> Result<Verdict, ActionError> {
        if self.verify.is_some() {
            return self.verify(cx).await;
        }
        if self.undo.is_some() || !self.touches.is_empty() {
            return Ok(Verdict::DidNot { reason: "it was interrupted, and can be undone".to_owned() });
        }
        if cx.target.job_state(cx.step, cx.attempt, APPLY).await? == JobState::NeverStarted {
            return Ok(Verdict::DidNot { reason: "the command never began".to_owned() });
        }
        Ok(Verdict::Unknown { reason: "the command was interrupted, and the step has no `verify`".to_owned() })
    }

    async fn undo(&self, cx: &Context<'_>) -> Result<(), ActionError> {
        match &self.undo {
            Some(undo) => run(cx, "undo", undo, true).await,
            None => Ok(()),
        }
    }
}

/// Values reach the shell as words of their own, whatever is in them.
fn line(cx: &Context<'_>, text: &Text) -> Result<String, ActionError> {
    Ok(text.fill_with(cx.values, &|value| quote(value))?)
}

async fn run(cx: &Context<'_>, part: &str, text: &Text, again: bool) -> Result<(), ActionError> {
    let command = line(cx, text)?;
    let job = Job { step: cx.step, attempt: cx.attempt, part, command: &command, limit: cx.limit, again };
    let end = cx.target.job(job, &|line| cx.tell.output(line), cx.stop).await?;
    end_in_words(cx, &format!("`{command}`"), end)
}

/// An ending other than exit status 0 as an error.
pub(super) fn end_in_words(cx: &Context<'_>, what: &str, end: JobEnd) -> Result<(), ActionError> {
    let failed = |reason: String| ActionError::Failed { what: what.to_owned(), reason };
    match end {
        JobEnd::Exited { status: 0, .. } => Ok(()),
        JobEnd::Exited { status, tail } => Err(failed(format!("exit status {status}{}", last_lines(&tail)))),
        JobEnd::TimedOut { tail } => {
            let limit = Span::from_secs(cx.limit.as_secs());
            Err(ActionError::TimeLimit { what: format!("{what}{}", last_lines(&tail)), limit })
        }
        JobEnd::Rebooted => Err(failed("the target was started anew while it ran".to_owned())),
        JobEnd::Lost => Err(failed("its processes are gone and left no exit status".to_owned())),
        JobEnd::Interrupted => Err(ActionError::Interrupted),
    }
}

fn last_lines(tail: &str) -> String {
    let lines: Vec<&str> = tail.lines().collect();
    lines[lines.len().saturating_sub(8)..].iter().map(|line| format!("\n  | {line}")).collect()
}
