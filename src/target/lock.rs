//! One run at a time on one target, from whichever controller.
//!
//! The lock is a number, the epoch, that grows each time it is taken, and a file that names the
//! holder. Every script that changes something compares the epoch first, under a shared `flock`;
//! taking the lock needs that `flock` alone. So a holder that lost the lock cannot write, and a
//! script that is under way cannot be overtaken.

use serde::{Deserialize, Serialize};

use super::{Target, TargetError, script};
use std::sync::atomic::Ordering;

/// A holder that did not show itself for so long, by the target's clock, is not live.
const FRESH_SECONDS: u64 = 60;

/// Who wants the lock.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Names this process among all controllers: machine and process.
    pub controller: &'a str,
    /// The person or service behind it.
    pub user: &'a str,
    /// A run whose lock may be taken over, when it is not live.
    pub take_over: Option<&'a str>,
}

/// Who holds a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its run.
    pub run: String,
    /// The process and its machine.
    pub controller: String,
    /// The person or service behind it.
    pub user: String,
    /// When the lock was taken, by the target's clock, in Unix seconds.
    #[serde(default)]
    pub since: u64,
    /// When the holder last showed itself, by the same clock.
    #[serde(default)]
    pub heartbeat: u64,
    /// The boot of the target that this was in.
    #[serde(default)]
    pub boot_id: String,
    /// Whether its run stopped part way, at a checkpoint.
    #[serde(default)]
    pub stopped: bool,
}

/// What came of asking for the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockOutcome {
    /// It is held now.
    Acquired {
        /// The number that every change is made under.
        epoch: u64,
    },
    /// Somebody else has it.
    Held {
        /// Who.
        holder: Holder,
        /// Whether that one still works; otherwise its run stopped part way, or died.
        live: bool,
    },
}

/// The lock as it was seen at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    clock: u64,
    jobs_running: bool,
    holder: Option<Holder>,
    /// All but the clock, to find out whether it changed since.
    text: String,
}

impl Target {
    /// Takes the lock for the run: anew, again after its own holder died, or over from `take_over`.
    pub async fn acquire(&self, claim: Claim<'_>) -> Result<LockOutcome, TargetError> {
        loop {
            let seen = self.seen().await?;
            if let Some((holder, live)) = in_the_way(&seen, &self.run, claim) {
                return Ok(LockOutcome::Held { holder, live });
            }
            let line = serde_json::json!({ "run": self.run, "controller": claim.controller, "user": claim.user });
            let values = [("home", self.home.as_str()), ("seen", &seen.text), ("claim", &line.to_string())];
            // Asking again after a lost reply finds this same controller as the holder, and takes the next epoch.
            let take = self.minding_space(&script(&values, include_str!("lock.sh")));
            let answer = self.ask("take the lock", &take).await?;
            if let Some(epoch) = answer.trim().strip_prefix("taken ") {
                let epoch = epoch.parse().map_err(|_| self.unknown_answer("the lock's epoch", &answer))?;
                self.epoch.store(epoch, Ordering::SeqCst);
                return Ok(LockOutcome::Acquired { epoch });
            }
        }
    }

    /// Who holds the target now, and whether that one is live.
    pub async fn holder(&self) -> Result<Option<(Holder, bool)>, TargetError> {
        let seen = self.seen().await?;
        Ok(seen.holder.clone().map(|holder| {
            let live = is_live(&seen, &holder);
            (holder, live)
        }))
    }

    /// Shows that the holder is alive; due every 20 seconds.
    pub async fn heartbeat(&self) -> Result<(), TargetError> {
        self.set_holder("running").await
    }

    /// Keeps the lock for a run that stops at its checkpoint.
    pub async fn stop(&self) -> Result<(), TargetError> {
        self.set_holder("stopped").await
    }

    /// Lets go of the lock: the run is over, or wholly rolled back.
    pub async fn release(&self) -> Result<(), TargetError> {
        self.set_holder("released").await
    }

    async fn set_holder(&self, state: &str) -> Result<(), TargetError> {
        let values = [("home", self.home.as_str()), ("state", state)];
        self.change("keep the lock", &script(&values, include_str!("lock_beat.sh"))).await.map(drop)
    }

    async fn seen(&self) -> Result<Seen, TargetError> {
        let values = [("home", self.home.as_str()), ("seen", ""), ("claim", "")];
        let answer = self.ask("read the lock", &script(&values, include_str!("lock.sh"))).await?;
        read_seen(&answer).ok_or_else(|| self.unknown_answer("who holds the lock", &answer))
    }
}

fn read_seen(answer: &str) -> Option<Seen> {
    let mut lines = answer.trim_end().splitn(3, '\n');
    let clock = lines.next()?.strip_prefix("clock ")?.parse().ok()?;
    lines.next()?.strip_prefix("boot ")?;
    let text = lines.next()?.to_owned();
    let holder_lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("holder ")).collect();
    let holder = if holder_lines.is_empty() { None } else { Some(read_holder(&holder_lines)?) };
    let jobs_running = text.lines().any(|line| line.starts_with("running "));
    Some(Seen { clock, jobs_running, holder, text })
}

fn read_holder(lines: &[&str]) -> Option<Holder> {
    let [who, when] = lines else { return None };
    let holder: Holder = serde_json::from_str(who).ok()?;
    let mut words = when.split(' ');
    let mut next = || words.next();
    Some(Holder {
        since: next()?.parse().ok()?,
        heartbeat: next()?.parse().ok()?,
        boot_id: next()?.to_owned(),
        stopped: next()? == "stopped",
        ..holder
    })
}

/// The holder as a message names it, from what a fenced script said.
pub(super) fn holder_in_words(said: &str) -> String {
    let lines: Vec<&str> = said.lines().skip_while(|line| !line.starts_with('{')).take(2).collect();
    match read_holder(&lines) {
        Some(holder) => format!("run `{}` of {} on {}", holder.run, holder.user, holder.controller),
        None => "nobody".to_owned(),
    }
}

fn is_fresh(seen: &Seen, holder: &Holder) -> bool {
    !holder.stopped && seen.clock.abs_diff(holder.heartbeat) < FRESH_SECONDS
}

fn is_live(seen: &Seen, holder: &Holder) -> bool {
    is_fresh(seen, holder) || seen.jobs_running
}

/// The holder that keeps a run from taking the lock, and whether it is live.
fn in_the_way(seen: &Seen, run: &str, claim: Claim<'_>) -> Option<(Holder, bool)> {
    let holder = seen.holder.as_ref()?;
    let free = if holder.run == run {
        // Jobs of the own run are no obstacle: whoever resumes it follows them.
        holder.controller == claim.controller || !is_fresh(seen, holder)
    } else {
        claim.take_over == Some(holder.run.as_str()) && !is_live(seen, holder)
    };
    (!free).then(|| (holder.clone(), is_live(seen, holder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(run: &str, controller: &str, age: u64, when: &str) -> Seen {
        let who = serde_json::json!({ "run": run, "controller": controller, "user": "a\nb" });
        let beat = 10_000 - age;
        read_seen(&format!("clock 10000\nboot b\nepoch 3\nholder {who}\nholder 1 {beat} b {when}\n")).unwrap()
    }

    const ME: Claim<'_> = Claim { controller: "me", user: "root", take_over: None };

    #[test]
    fn a_free_lock_is_taken() {
        let free = read_seen("clock 1\nboot b\nepoch 0").unwrap();
        assert_eq!(in_the_way(&free, "r", ME), None);
    }

    #[test]
    fn the_own_run_is_taken_up_again_unless_another_controller_works_on_it() {
        assert_eq!(in_the_way(&seen("r", "me", 5, "running"), "r", ME), None);
        assert_eq!(in_the_way(&seen("r", "other", 61, "running"), "r", ME), None);
        assert_eq!(in_the_way(&seen("r", "other", 5, "stopped"), "r", ME), None);
        assert!(in_the_way(&seen("r", "other", 59, "running"), "r", ME).unwrap().1);
    }

    #[test]
    fn another_run_is_in_the_way_until_it_is_named_and_dead() {
        let named = Claim { take_over: Some("old"), ..ME };
        assert!(!in_the_way(&seen("old", "o", 5, "stopped"), "r", ME).unwrap().1);
        assert_eq!(in_the_way(&seen("old", "o", 5, "stopped"), "r", named), None);
        assert!(in_the_way(&seen("old", "o", 5, "running"), "r", named).unwrap().1);
        assert_eq!(in_the_way(&seen("old", "o", 500, "running"), "r", named), None);
        let mut busy = seen("old", "o", 500, "running");
        busy.jobs_running = true;
        assert!(in_the_way(&busy, "r", named).unwrap().1);
    }

    #[test]
    fn hostile_answers_are_not_read() {
        for answer in ["", "clock x", "clock 1\nboot b\nholder {}", "clock 1\nboot b\nholder {}\nholder 1 2 3 running"]
        {
            assert_eq!(read_seen(answer), None, "{answer:?}");
        }
    }
}
