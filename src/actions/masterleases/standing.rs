//! What becomes of each address under which an API server once registered itself: a pure judgement.

use std::time::Duration;

/// How long an API server that starts is waited for until it has registered its address.
const REGISTERS_WITHIN: Duration = Duration::from_mins(1);
/// API servers renew every 10 s and count as gone after 15 s: whoever is silent for longer does not live.
const SILENCE: Duration = Duration::from_secs(20);

/// An address that an API server registered: an entry below `/registry/masterleases/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The address.
    pub(super) address: String,
    /// The revision of its last renewal.
    pub(super) mod_revision: i64,
    /// The lease that it was renewed with.
    pub(super) lease: i64,
    /// How it stands.
    pub(super) standing: Standing,
}

/// How an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was renewed since the restore: an API server lives there.
    Live,
    /// Not renewed since, and its lease still runs: etcd will remove it.
    Expiring,
    /// Not renewed since, and without a lease: it would stay for ever.
    Orphan,
}

impl Standing {
    /// Leases do not outlive every restore: an entry without one is never removed by etcd.
    pub(super) fn of(mod_revision: i64, restored: i64, lease_runs: bool) -> Self {
        match (mod_revision > restored, lease_runs) {
            (true, _) => Self::Live,
            (false, true) => Self::Expiring,
            (false, false) => Self::Orphan,
        }
    }
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// Look again, for this.
    Wait(String),
    /// Remove these, if nobody renews them meanwhile.
    Remove(Vec<&'a Entry>),
    /// Nothing more.
    Done,
}

/// `own` is the target's address: what stands there is never removed, since its API server registers again.
/// `used` is whether API servers registered themselves in this way before.
pub(super) fn next<'a>(entries: &'a [Entry], own: Option<&str>, used: bool, elapsed: Duration) -> Next<'a> {
    let of = |standing: Standing| entries.iter().filter(move |entry| entry.standing == standing);
    if of(Standing::Live).next().is_none() && elapsed < REGISTERS_WITHIN && (used || !entries.is_empty()) {
        return Next::Wait("waiting until the API server registers its address".to_owned());
    }
    if of(Standing::Expiring).next().is_some() {
        let waited = addresses(of(Standing::Expiring));
        return Next::Wait(format!("waiting until the lease of {waited} runs out"));
    }
    // Where nobody renews, API servers don't register themselves in this way, and what is there does no harm.
    let orphans: Vec<&Entry> = of(Standing::Orphan).filter(|entry| Some(entry.address.as_str()) != own).collect();
    if orphans.is_empty() || of(Standing::Live).next().is_none() {
        return Next::Done;
    }
    if elapsed < SILENCE {
        let watched = addresses(orphans.into_iter());
        return Next::Wait(format!("watching whether anybody renews {watched}"));
    }
    Next::Remove(orphans)
}

/// Addresses in one line.
pub(super) fn addresses<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    let addresses: Vec<&str> = entries.map(|entry| entry.address.as_str()).collect();
    if addresses.is_empty() { "none".to_owned() } else { addresses.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Option<&str> = Some("10.0.0.1");
    const RESTORED: i64 = 643;
    const BUMPED: i64 = RESTORED + 1_000_000_000;

    fn entry(address: &str, mod_revision: i64, lease_runs: bool) -> Entry {
        let standing = Standing::of(mod_revision, RESTORED, lease_runs);
        Entry { address: address.to_owned(), mod_revision, lease: 7, standing }
    }

    fn after(entries: &[Entry], seconds: u64) -> Next<'_> {
        next(entries, OWN, true, Duration::from_secs(seconds))
    }

    #[test]
    fn a_lone_api_server_that_has_registered_is_not_waited_for() {
        assert_eq!(after(&[entry("10.0.0.1", BUMPED + 3, true)], 0), Next::Done);
    }

    #[test]
    fn leases_that_run_are_left_to_etcd() {
        let entries = [entry("10.0.0.1", BUMPED + 3, true), entry("10.0.0.2", RESTORED, true)];
        assert_eq!(after(&entries, 500), Next::Wait("waiting until the lease of 10.0.0.2 runs out".to_owned()));
    }

    #[test]
    fn what_nobody_renews_is_removed_after_a_while() {
        let entries = [entry("10.0.0.1", BUMPED + 3, true), entry("10.0.0.2", 12, false)];
        assert_eq!(after(&entries, 19), Next::Wait("watching whether anybody renews 10.0.0.2".to_owned()));
        assert_eq!(after(&entries, 20), Next::Remove(vec![&entries[1]]));
    }

    #[test]
    fn a_live_server_is_never_removed() {
        for lease_runs in [true, false] {
            let entries = [entry("10.0.0.1", BUMPED, true), entry("10.0.0.2", RESTORED + 1, lease_runs)];
            assert_eq!(after(&entries, 1000), Next::Done);
        }
    }

    #[test]
    fn the_targets_own_address_is_never_removed() {
        let entries = [entry("10.0.0.1", RESTORED, false), entry("10.0.0.2", BUMPED, true)];
        assert_eq!(after(&entries, 1000), Next::Done);
    }

    #[test]
    fn where_nobody_registers_nothing_is_removed() {
        let entries = [entry("10.0.0.2", RESTORED, false)];
        let wait = Next::Wait("waiting until the API server registers its address".to_owned());
        assert_eq!(after(&entries, 59), wait);
        assert_eq!(after(&entries, 60), Next::Done);
        assert_eq!((after(&[], 59), after(&[], 60)), (wait, Next::Done));
        assert_eq!(next(&[], OWN, false, Duration::ZERO), Next::Done, "they never did");
    }
}
