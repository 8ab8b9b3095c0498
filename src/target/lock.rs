//! One run at a time on one target, from whichever controller.
//!
//! The lock is an epoch, a number that grows each time it is taken with a word that no other taking has, and a file that
//! names the holder. Every script that changes something compares the epoch first, under a shared
//! `flock`; taking the lock needs that `flock` alone. So a holder that lost the lock cannot write, and a
//! script that is under way cannot be overtaken: one that hangs is ended first.

use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::{LATER, Target, TargetError, component, script};

/// A holder that did not show itself for so long, by the target's uptime, is not live.
const FRESH_SECONDS: u64 = 60;
/// The lock may change between a look and a claim, but not for ever.
const CLAIMS: usize = 50;

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
    /// How long the target had been up at the last sign of the holder, in seconds: no clock that anybody sets.
    #[serde(default)]
    pub uptime: Option<u64>,
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
    /// Another run worked on the target after this one, on top of what this one left there.
    Superseded {
        /// That run.
        by: String,
    },
}

/// The lock as it was seen at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    clock: u64,
    boot_id: String,
    uptime: u64,
    jobs_running: bool,
    holder: Held,
    /// All but the clocks, to find out whether it changed since.
    text: String,
}

/// What the file says that names the holder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    Free,
    By(Holder),
    /// It says nothing that makes sense: somebody may hold the lock.
    Unreadable,
}

impl Target {
    /// Takes the lock for the run: anew, again after its own holder died, or over from `take_over`.
    pub async fn acquire(&self, claim: Claim<'_>) -> Result<LockOutcome, TargetError> {
        for _ in 0..CLAIMS {
            let seen = self.seen().await?;
            if let Some((holder, live)) = in_the_way(&seen, &self.run, claim) {
                return Ok(LockOutcome::Held { holder, live });
            }
            let line = serde_json::json!({ "run": self.run, "controller": claim.controller, "user": claim.user });
            let over = seen.holder().filter(|holder| holder.run != self.run).map(|holder| component(&holder.run));
            let values = [
                ("home", self.home.as_str()),
                ("seen", &seen.text),
                ("claim", &line.to_string()),
                ("own", &component(&self.run)),
                ("over", over.as_deref().unwrap_or_default()),
                ("later", LATER),
            ];
            // Asking again after a lost reply finds this same controller as the holder, and takes the next epoch.
            let answer = self.ask("take the lock", &self.minding_space(&script(&values, LOCK))).await?;
            if let Some(by) = answer.trim().strip_prefix("later ") {
                return Ok(LockOutcome::Superseded { by: by.to_owned() });
            }
            if let Some(epoch) = answer.trim().strip_prefix("taken ") {
                let number = epoch.split(' ').next().and_then(|number| number.parse().ok());
                let number = number.ok_or_else(|| self.unknown_answer("the lock's epoch", &answer))?;
                epoch.clone_into(&mut self.epoch.lock().unwrap_or_else(PoisonError::into_inner));
                return Ok(LockOutcome::Acquired { epoch: number });
            }
        }
        Err(TargetError::Refused {
            host: self.host().to_owned(),
            reason: format!("the lock in {} changes all the time", self.home),
        })
    }

    /// Who holds the target now, and whether that one is live.
    pub async fn holder(&self) -> Result<Option<(Holder, bool)>, TargetError> {
        let seen = self.seen().await?;
        Ok(seen.holder().map(|holder| (holder.clone(), is_live(&seen, holder))))
    }

    /// Shows that the holder is alive; due every 10 seconds.
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
        let answer = self.ask("read the lock", &script(&values, LOCK)).await?;
        let seen = read_seen(&answer).ok_or_else(|| self.unknown_answer("who holds the lock", &answer))?;
        if seen.holder == Held::Unreadable {
            let reason = format!(
                "{}/holder is damaged, so nobody can tell which run holds this host: see that no drctl works on it, then \
                 remove that file",
                self.home
            );
            return Err(TargetError::Refused { host: self.host().to_owned(), reason });
        }
        Ok(seen)
    }
}

/// With what it needs to end the scripts of a holder that is gone.
const LOCK: &str = concat!(include_str!("lock_scripts.sh"), include_str!("lock.sh"));

impl Seen {
    fn holder(&self) -> Option<&Holder> {
        match &self.holder {
            Held::By(holder) => Some(holder),
            Held::Free | Held::Unreadable => None,
        }
    }
}

fn read_seen(answer: &str) -> Option<Seen> {
    let mut lines = answer.trim_end_matches('\n').splitn(4, '\n');
    let clock = lines.next()?.strip_prefix("clock ")?.parse().ok()?;
    let boot_id = lines.next()?.strip_prefix("boot ")?.to_owned();
    let uptime = lines.next()?.strip_prefix("uptime ")?.parse().ok()?;
    let text = lines.next()?.to_owned();
    let holder_lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("holder ")).collect();
    let holder = match read_holder(&holder_lines) {
        _ if !text.lines().any(|line| line == "held") => Held::Free,
        Some(holder) => Held::By(holder),
        None => Held::Unreadable,
    };
    let jobs_running = text.lines().any(|line| line.starts_with("running "));
    Some(Seen { clock, boot_id, uptime, jobs_running, holder, text })
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
        uptime: next().and_then(|uptime| uptime.parse().ok()),
        ..holder
    })
}

/// The holder as a message names it, from what a fenced script of `run` said.
pub(super) fn holder_in_words(said: &str, run: &str) -> String {
    let lines: Vec<&str> = said.lines().skip_while(|line| !line.starts_with('{')).take(2).collect();
    match read_holder(&lines) {
        Some(holder) if holder.run == run => {
            format!("another process of the same run, of {} on {}", holder.user, holder.controller)
        }
        Some(holder) => format!("run `{}` of {} on {}", holder.run, holder.user, holder.controller),
        None => "nobody".to_owned(),
    }
}

fn is_fresh(seen: &Seen, holder: &Holder) -> bool {
    let silent = match holder.uptime {
        Some(then) if holder.boot_id == seen.boot_id => seen.uptime.abs_diff(then),
        // Nobody knows how long before the last start it showed itself, but not since.
        Some(_) => seen.uptime,
        None => seen.clock.abs_diff(holder.heartbeat),
    };
    !holder.stopped && silent < FRESH_SECONDS
}

fn is_live(seen: &Seen, holder: &Holder) -> bool {
    is_fresh(seen, holder) || seen.jobs_running
}

/// The holder that keeps a run from taking the lock, and whether it is live.
fn in_the_way(seen: &Seen, run: &str, claim: Claim<'_>) -> Option<(Holder, bool)> {
    let holder = seen.holder()?;
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

    /// A lock whose holder showed itself so many seconds ago.
    fn seen(run: &str, controller: &str, age: u64, when: &str) -> Seen {
        let who = serde_json::json!({ "run": run, "controller": controller, "user": "a\nb" });
        let beat = 10_000 - age;
        read_seen(&format!(
            "clock 99\nboot b\nuptime 10000\nepoch 3 x\nheld\nholder {who}\nholder 1 2 b {when} {beat}   \n"
        ))
        .unwrap()
    }

    const ME: Claim<'_> = Claim { controller: "me", user: "root", take_over: None };

    #[test]
    fn a_free_lock_is_taken() {
        let free = read_seen("clock 1\nboot b\nuptime 5\nepoch ").unwrap();
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
    fn clocks_that_are_set_make_nobody_dead_or_alive() {
        let mut lock = seen("old", "o", 5, "running");
        for clock in [0, 2, 1_000_000] {
            lock.clock = clock;
            assert!(in_the_way(&lock, "r", Claim { take_over: Some("old"), ..ME }).unwrap().1, "at {clock}");
        }
        let mut dead = seen("old", "o", 61, "running");
        dead.clock = 2;
        assert!(!in_the_way(&dead, "r", ME).unwrap().1);
    }

    #[test]
    fn after_a_start_of_the_target_a_holder_has_its_time_to_come_back() {
        let mut lock = seen("old", "o", 500, "running");
        lock.boot_id = "later".to_owned();
        lock.uptime = 59;
        assert!(in_the_way(&lock, "r", ME).unwrap().1);
        lock.uptime = 60;
        assert!(!in_the_way(&lock, "r", ME).unwrap().1);
    }

    #[test]
    fn hostile_answers_are_not_read() {
        for answer in ["", "clock x", "clock 1\nboot b\nepoch 3", "clock 1\nboot b\nuptime x\nepoch 3"] {
            assert_eq!(read_seen(answer), None, "{answer:?}");
        }
        for holder in ["", "holder {}", "holder {}\nholder 1 2 3 running", "holder \nholder 1 2 b running 3"] {
            let seen = read_seen(&format!("clock 1\nboot b\nuptime 5\nepoch 3\nheld\n{holder}")).unwrap();
            assert_eq!(seen.holder, Held::Unreadable, "{holder:?}");
        }
    }
}
