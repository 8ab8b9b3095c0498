//! How old is the data? A file that was saved a minute ago may hold an etcd that stood still for weeks.

use jiff::{SignedDuration, Timestamp};

use super::Look;
use crate::actions::Finding;
use crate::inventory::Policy;
use crate::report::human_seconds;

/// Leaders and nodes renew their leases every few seconds: a living cluster is never silent for so long.
const QUIET: SignedDuration = SignedDuration::from_mins(10);

pub(super) fn check(look: &Look) -> Vec<Finding> {
    let Ok(search) = &look.snapshot else { return Vec::new() };
    let file = &search.chosen;
    vec![judge(&file.name, file.taken, file.claims.newest_change, look.now, &look.inventory.policy)]
}

fn judge(name: &str, taken: Timestamp, newest: Option<Timestamp>, now: Timestamp, policy: &Policy) -> Finding {
    let Some(newest) = newest else {
        return Finding::warning(
            "data-time-unproven",
            format!("the data of `{name}` shows no time, so that it is as young as the file cannot be proved"),
            "see that the etcd that is saved is the cluster's",
        );
    };
    let (age, before) = (now.duration_since(newest), taken.duration_since(newest));
    let (limit, human) = (policy.max_snapshot_age, |span: SignedDuration| human_seconds(span.as_secs_f64().abs()));
    let said = format!("the newest change in the data is {} old ({newest})", human(age));
    let still = before > QUIET;
    if still && age.as_secs_f64() > limit.duration().as_secs_f64() {
        return Finding::error(
            "data-too-old",
            format!(
                "{said}; up to {limit} is allowed\n  `{name}` itself is from {taken}: nothing had changed for {} when it was saved",
                human(before)
            ),
            "what is saved is an etcd that stands still: a copy, a member that is cut off, or a cluster that was dead by then; \
             find a snapshot of the one that lived, or accept the loss with `--accept data-too-old`\n\
             if one went on, all changes since then would be lost, and volumes and nodes made since would be unknown",
        );
    }
    if still {
        return Finding::warning(
            "data-stood-still",
            format!("nothing in the data had changed for {} when `{name}` was saved\n  {said}", human(before)),
            "either the control plane was dead by then, or what is saved is not the etcd that lives: see what the backup job saves",
        );
    }
    if -before > QUIET {
        return Finding::warning(
            "data-newer-than-file",
            format!("the data is {} newer than `{name}` says\n  {said}", human(before)),
            "the time in its name is not UTC, or a clock of the cluster is ahead: then the data may be older than it says",
        );
    }
    Finding::ok("data-age", said)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    /// The finding for a file and data of so many minutes before now.
    fn of(file: i64, data: Option<i64>) -> String {
        let before = |minutes: i64| NOW - SignedDuration::from_mins(minutes);
        judge("a.db", before(file), data.map(before), NOW, &Policy::default()).name
    }

    #[test]
    fn a_fresh_file_of_a_stale_etcd_is_found() {
        assert_eq!(of(5, Some(5)), "data-age");
        assert_eq!(of(5, Some(14)), "data-age");
        assert_eq!(of(5, Some(16)), "data-stood-still");
        assert_eq!(of(5, Some(25 * 60)), "data-too-old");
    }

    #[test]
    fn an_old_file_is_told_once() {
        // That it is too old is the finding about the file.
        assert_eq!(of(25 * 60, Some(25 * 60)), "data-age");
        // Accepting its age does not accept that of data which is older still.
        assert_eq!(of(25 * 60, Some(50 * 60)), "data-too-old");
    }

    #[test]
    fn times_that_cannot_be_are_told() {
        assert_eq!(of(60, Some(5)), "data-newer-than-file");
        assert_eq!(of(5, None), "data-time-unproven");
    }
}
