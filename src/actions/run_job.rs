//! A step's command as a job on the target, followed to its end.

use super::{ActionError, Context};
use crate::inventory::Span;
use crate::target::{APPLY, Job, JobEnd};

/// Runs the step's command, or follows the one that this attempt began. `what` names the deed.
pub(super) async fn apply(cx: &Context<'_>, what: &str, command: &str) -> Result<(), ActionError> {
    let job = Job { step: cx.step, attempt: cx.attempt, part: APPLY, command, limit: cx.limit, again: false };
    follow(cx, what, job).await
}

/// Runs a command that takes the step back. It may be repeated.
pub(super) async fn undo(cx: &Context<'_>, what: &str, command: &str) -> Result<(), ActionError> {
    let job = Job { step: cx.step, attempt: cx.attempt, part: "undo", command, limit: cx.limit, again: true };
    follow(cx, what, job).await
}

async fn follow(cx: &Context<'_>, what: &str, job: Job<'_>) -> Result<(), ActionError> {
    let failed = |reason: String| Err(ActionError::Failed { what: what.to_owned(), reason });
    match cx.target.job(job, &|line| cx.tell.output(line), cx.stop).await? {
        JobEnd::Exited { status: 0, .. } => Ok(()),
        JobEnd::Exited { status, tail } => failed(format!("exit status {status}{}", last_lines(&tail))),
        JobEnd::TimedOut { .. } => {
            Err(ActionError::TimeLimit { what: what.to_owned(), limit: Span::from_secs(job.limit.as_secs()) })
        }
        JobEnd::Rebooted => failed(format!("{} was started anew while it ran", cx.target.host())),
        JobEnd::Lost => failed("its processes are gone and left no exit status".to_owned()),
        JobEnd::Interrupted => Err(ActionError::Interrupted),
    }
}

/// The end of what a command wrote, on lines of its own.
fn last_lines(tail: &str) -> String {
    let lines: Vec<&str> = tail.lines().filter(|line| !line.trim().is_empty()).collect();
    let shown = &lines[lines.len().saturating_sub(12)..];
    shown.iter().map(|line| format!("\n  | {line}")).collect()
}
