//! One step, forwards and backwards: the only place where the engine has effects on the target.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::{Engine, Halt, Left, Run, Step, chain};
use crate::actions::{Action, ActionError, Context, Outcome, SetAside, Tell, Verdict};
use crate::event::{Event, Kept, Live, RunHeader, StepRef};
use crate::inventory::Span;
use crate::target::{JobState, StillKept};
use crate::text::Values;

impl Engine {
    pub(super) async fn begin(&mut self, step: usize, attempt: u32) -> Step<()> {
        let name = self.run.playbook.steps[step].name.clone();
        let values = self.values();
        if let Some(when) = &self.run.playbook.steps[step].when
            && !self.state.header.steps[step].holds.unwrap_or_else(|| when.holds(&values))
        {
            return Ok(self.note(Event::StepSkipped { step: name, reason: format!("`when = {when}` does not hold") })?);
        }
        self.tried = if self.tried.0 == step { (step, self.tried.1 + 1) } else { (step, 1) };
        if self.tried.1 > 1 {
            self.pause(self.tried.1).await?;
        }
        self.note(Event::StepStarted { step: name, attempt })?;
        self.keep_and_apply(step, attempt).await
    }

    /// From an announced step to its outcome. Keeping is repeatable: it may have been begun before.
    pub(super) async fn keep_and_apply(&mut self, step: usize, attempt: u32) -> Step<()> {
        let values = self.values();
        if let Err(error) = self.keep(step, attempt, &values).await {
            return self.failed_attempt(step, &error);
        }
        let name = self.run.playbook.steps[step].name.clone();
        self.note(Event::StepKept { step: name })?;
        self.apply(step, attempt).await
    }

    async fn keep(&self, step: usize, attempt: u32, values: &Values) -> Result<(), ActionError> {
        let tell = self.run.tell(step);
        let cx = self.run.context(step, attempt, values, &tell, &self.state.header);
        match self.run.playbook.steps[step].action.set_aside(&cx)? {
            SetAside::Nothing { .. } => Ok(()),
            SetAside::Paths(keeps) => Ok(self.run.target.set_aside(cx.step, &keeps).await?),
        }
    }

    async fn apply(&mut self, step: usize, attempt: u32) -> Step<()> {
        let values = self.values();
        let links = self.run.target.connections();
        match self.apply_and_verify(step, attempt, &values).await {
            Ok(outcome) => self.took(step, outcome),
            Err(error) => self.failed_unless_cut(step, &error, links),
        }
    }

    async fn apply_and_verify(&self, step: usize, attempt: u32, values: &Values) -> Result<Outcome, ActionError> {
        let tell = self.run.tell(step);
        let cx = self.run.context(step, attempt, values, &tell, &self.state.header);
        let action = &self.run.playbook.steps[step].action;
        let applied_and_verified = async {
            let outcome = apply_through_cuts(action.as_ref(), &cx).await?;
            let Outcome::Done(mut outputs) = outcome else {
                return Ok(outcome);
            };
            match action.verify(&cx).await? {
                Verdict::Took(more) => outputs.extend(more),
                Verdict::DidNot { reason } | Verdict::Unknown { reason } => {
                    return Err(ActionError::Failed { what: format!("verifying step `{}`", cx.step), reason });
                }
            }
            Ok(Outcome::Done(outputs))
        };
        self.limited(&cx, applied_and_verified).await
    }

    /// What an action does, at most until its limit or the run's stop. Whatever that is, it is repeatable or claimed on the
    /// target, so it may be left anywhere.
    async fn limited<T>(
        &self,
        cx: &Context<'_>,
        deed: impl Future<Output = Result<T, ActionError>>,
    ) -> Result<T, ActionError> {
        let within_limit = async {
            let mut deed = pin!(deed);
            let mut synced = false;
            loop {
                if let Ok(done) = timeout(cx.limit + self.grace, &mut deed).await {
                    return done;
                }
                let links = cx.target.connections();
                let mut look = pin!(self.is_being_synced(cx));
                let syncs = tokio::select! {
                    syncs = &mut look => syncs?,
                    done = &mut deed => {
                        look.await?;
                        if cx.target.connections() == links {
                            return done;
                        }
                        break;
                    }
                };
                // What comes after that has the whole limit for itself.
                if !syncs && !synced {
                    break;
                }
                synced = syncs;
            }
            let limit = Span::from_secs(cx.limit.as_secs());
            Err(ActionError::TimeLimit { what: format!("step `{}`", cx.step), limit })
        };
        tokio::select! {
            done = within_limit => done,
            () = cx.stop.cancelled() => Err(ActionError::Interrupted),
        }
    }

    /// Whether the step's command has ended and only its files are not on the disk yet: the disk's time is not the step's.
    /// A link that is away is waited for, and is what went wrong when it does not come back.
    async fn is_being_synced(&self, cx: &Context<'_>) -> Result<bool, ActionError> {
        cx.target.reach().await?;
        Ok(cx.target.job_state(cx.step, cx.attempt, crate::target::APPLY).await? == JobState::Syncing)
    }

    fn took(&mut self, step: usize, outcome: Outcome) -> Step<()> {
        let step = self.run.playbook.steps[step].name.clone();
        Ok(self.note(match outcome {
            Outcome::Done(outputs) => Event::StepDone { step, outputs },
            Outcome::Skipped { reason } => Event::StepSkipped { step, reason },
        })?)
    }

    fn failed_attempt(&mut self, step: usize, error: &ActionError) -> Step<()> {
        if let Some(left) = Left::of(error) {
            return Err(Halt::Left(left));
        }
        let step = self.run.playbook.steps[step].name.clone();
        Ok(self.note(Event::StepFailed { step, error: chain(error) })?)
    }

    /// A limit that passed while the link was away is no failure: nobody saw the step's outcome, and it is settled as by
    /// whoever takes a run up, with its whole limit again.
    fn failed_unless_cut(&mut self, step: usize, error: &ActionError, links: u64) -> Step<()> {
        if matches!(error, ActionError::TimeLimit { .. }) && self.run.target.connections() != links {
            self.run.tell(step).note("the link was cut, and the step's limit has passed: looking how far it came");
            return Ok(());
        }
        self.failed_attempt(step, error)
    }

    /// A step whose outcome nobody wrote down: the job's folder knows, else the action's own look.
    pub(super) async fn settle(&mut self, step: usize, attempt: u32) -> Step<()> {
        let name = self.run.playbook.steps[step].name.clone();
        let values = self.values();
        match self.run.target.job_state(&name, attempt, crate::target::APPLY).await {
            // `apply` attaches to the job that is there instead of starting one.
            Ok(JobState::Running | JobState::Syncing | JobState::Exited { .. } | JobState::TimedOut) => {
                return self.apply(step, attempt).await;
            }
            Ok(JobState::NeverStarted | JobState::Rebooted | JobState::Lost) => {}
            Err(error) => return self.failed_attempt(step, &error.into()),
        }
        let links = self.run.target.connections();
        let verdict = {
            let tell = self.run.tell(step);
            let cx = self.run.context(step, attempt, &values, &tell, &self.state.header);
            self.limited(&cx, self.run.playbook.steps[step].action.settle(&cx)).await
        };
        match verdict {
            Ok(Verdict::Took(outputs)) => self.took(step, Outcome::Done(outputs)),
            Ok(Verdict::DidNot { .. }) => self.undo(step).await,
            Ok(Verdict::Unknown { reason }) => self.settle_by_person(step, reason).await,
            Err(error) => self.failed_unless_cut(step, &error, links),
        }
    }

    /// Only a yes counts, to either question: a step that may have happened is not begun again by a mere return.
    async fn settle_by_person(&mut self, step: usize, reason: String) -> Step<()> {
        let name = self.run.playbook.steps[step].name.clone();
        let happened =
            format!("Nobody wrote down whether step `{name}` happened: {reason}.\nLook at the target: did it?");
        let again = format!("Begin step `{name}` again?");
        if self.says_yes(&happened).await? {
            return self.took(step, Outcome::Done(Values::new()));
        }
        if self.says_yes(&again).await? {
            return self.undo(step).await;
        }
        Err(Halt::Left(Left::Unknown { step: name, reason }))
    }

    async fn says_yes(&self, question: &str) -> Step<bool> {
        tokio::select! {
            answer = self.run.listener.confirm(question) => Ok(answer == Some(true)),
            () = self.run.stop.cancelled() => Err(Halt::Left(Left::Interrupted)),
        }
    }

    pub(super) async fn undo(&mut self, step: usize) -> Step<()> {
        let name = self.run.playbook.steps[step].name.clone();
        let kept = self.state.steps[step].was_kept();
        self.note(Event::UndoStarted { step: name.clone(), leaves_mark: true })?;
        let values = self.values();
        let attempt = self.state.attempts[step];
        match self.undo_and_put_back(step, attempt, &values, kept).await {
            Ok(()) => Ok(self.note(Event::UndoDone { step: name })?),
            Err(error) => {
                if let Some(left) = Left::of(&error) {
                    Err(Halt::Left(left))
                } else {
                    let error = chain(&error);
                    let kept = self.kept().await;
                    self.note(Event::UndoFailed { step: name.clone(), error: error.clone(), kept })?;
                    Err(Halt::Left(Left::NeedsPerson { step: name, error }))
                }
            }
        }
    }

    async fn undo_and_put_back(
        &self,
        step: usize,
        attempt: u32,
        values: &Values,
        kept: bool,
    ) -> Result<(), ActionError> {
        let tell = self.run.tell(step);
        let cx = self.run.context(step, attempt, values, &tell, &self.state.header);
        self.still_kept(step, &cx, kept).await?;
        tokio::select! {
            ended = self.run.target.end_job(cx.step, attempt, crate::target::APPLY) => ended?,
            // What a command wrote may take long to sync.
            () = cx.stop.cancelled() => return Err(ActionError::Interrupted),
        }
        self.run.playbook.steps[step].action.undo(&cx).await?;
        Ok(self.run.target.put_back(cx.step).await?)
    }

    /// Before anything is undone: what somebody removed by hand cannot be put back. A step that was not wholly `kept` may have
    /// kept nothing, or a part.
    async fn still_kept(&self, step: usize, cx: &Context<'_>, kept: bool) -> Result<(), ActionError> {
        if kept && matches!(self.run.playbook.steps[step].action.set_aside(cx)?, SetAside::Nothing { .. }) {
            return Ok(());
        }
        let aside = self.run.target.aside_folder(cx.step);
        let (expected, found) = match self.run.target.still_kept(cx.step).await? {
            StillKept::Nothing if kept => (
                format!("`{aside}`"),
                format!(
                    "nothing: it was removed, so it cannot be put back. Once all is as it was by other means, \
                     `mkdir -p {aside}.back` says so"
                ),
            ),
            StillKept::Except { gone } if !gone.is_empty() => {
                ("all of it".to_owned(), format!("less:\n  | {}", gone.join("\n  | ")))
            }
            StillKept::Nothing | StillKept::Back | StillKept::Except { .. } => return Ok(()),
        };
        Err(ActionError::Unexpected { what: "what the step kept on the target".to_owned(), expected, found })
    }

    /// What is not as it was, in the order in which it would be put back.
    pub(super) async fn kept(&self) -> Option<Vec<Kept>> {
        let target = &self.run.target;
        let asides = target.asides().await.ok()?;
        let steps = self.state.header.steps.iter().rev();
        let of_step = |step: &StepRef| {
            let own = asides.iter().filter(|aside| target.is_of(aside, &step.name));
            let kept = own.map(|aside| Kept {
                step: step.name.clone(),
                path: aside.path.clone(),
                stored: aside.stored.clone(),
                gone: aside.gone,
            });
            kept.collect::<Vec<_>>()
        };
        Some(steps.flat_map(of_step).collect())
    }

    fn values(&self) -> Values {
        let mut values = self.run.values.clone();
        values.extend(self.state.outputs());
        values
    }

    async fn pause(&self, attempt: u32) -> Step<()> {
        let pause = Duration::from_secs(2 * u64::from(attempt.min(15)));
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.run.stop.cancelled() => Err(Halt::Left(Left::Interrupted)),
        }
    }
}

/// A proof that broke off with its connection proves nothing either way: it is made again once the link is back.
async fn apply_through_cuts(action: &dyn Action, cx: &Context<'_>) -> Result<Outcome, ActionError> {
    loop {
        let before = cx.target.connections();
        match action.apply(cx).await {
            Err(error) if action.is_repeatable() => {
                // What only looks waits for a link that is away, and says so when it does not come back.
                cx.target.reach().await?;
                if cx.target.connections() == before {
                    return Err(error);
                }
                cx.tell.note("the link was cut: once more");
            }
            ended => return ended,
        }
    }
}

impl Run {
    fn tell(&self, step: usize) -> StepTell<'_> {
        StepTell { run: self, step: &self.playbook.steps[step].name }
    }

    fn context<'a>(
        &'a self,
        step: usize,
        attempt: u32,
        values: &'a Values,
        tell: &'a StepTell<'a>,
        header: &'a RunHeader,
    ) -> Context<'a> {
        let step = &self.playbook.steps[step];
        Context {
            inventory: &self.inventory,
            target: &self.target,
            facts: &self.facts,
            snapshot: &self.snapshot,
            pki: &self.pki,
            values,
            run: &header.run,
            accepted: &header.accepted,
            step: &step.name,
            attempt,
            limit: step.timeout.unwrap_or(self.inventory.policy.step_timeout).duration(),
            tell,
            stop: &self.stop,
            cache: &self.cache,
        }
    }
}

/// Adds the step's name to what an action tells.
#[derive(Debug)]
struct StepTell<'a> {
    run: &'a Run,
    step: &'a str,
}

#[async_trait]
impl Tell for StepTell<'_> {
    fn output(&self, line: &str) {
        self.run.listener.live(&Live::Output { step: self.step.to_owned(), line: line.to_owned() });
    }

    fn bytes(&self, done: u64, total: u64) {
        self.run.listener.live(&Live::Bytes { step: self.step.to_owned(), done, total });
    }

    fn note(&self, note: &str) {
        self.run.listener.live(&Live::Note { step: self.step.to_owned(), note: note.to_owned() });
    }

    async fn confirm(&self, question: &str) -> Option<bool> {
        self.run.listener.confirm(question).await
    }
}
