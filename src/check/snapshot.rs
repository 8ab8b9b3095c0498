//! Is there a snapshot, whole and young enough?

use super::Look;
use crate::actions::Finding;
use crate::report::human_seconds;
use crate::sources::{PassedOver, SourceEntry, SourceError, TimeFrom};

pub(super) fn check(look: &Look) -> Vec<Finding> {
    let search = match &look.snapshot {
        Ok(search) => search,
        Err(error) => return vec![none(look, error)],
    };
    let mut findings: Vec<Finding> = search.passed_over.iter().map(passed_over).collect();
    let chosen = &search.chosen;
    findings.push(Finding::ok(
        "snapshot",
        format!(
            "snapshot `{}` from {} is whole: {} bytes, revision {}, {} keys",
            chosen.name, chosen.source, chosen.size, chosen.claims.revision, chosen.claims.live_keys
        ),
    ));
    findings.push(age(look));
    findings
}

fn none(look: &Look, error: &SourceError) -> Finding {
    let mut message = crate::engine::chain(error);
    if let SourceError::None { passed_over } = error {
        for PassedOver { name, source, reason } in passed_over {
            let what = if name == PassedOver::ALL { String::new() } else { format!("`{name}` of {source}: ") };
            message.push_str(&format!("\n  {what}{reason}"));
        }
        let silent = |source: &&SourceEntry| passed_over.iter().all(|passed| passed.source != source.label());
        for source in look.inventory.sources.iter().filter(silent) {
            message.push_str(&format!("\n  {} holds no file `{}`", source.label(), source.pattern()));
        }
    }
    let help = match error {
        SourceError::NoIdentity { .. } => {
            "mend `[age] identity`; to do without it, point `[[snapshots]]` at a place that holds none that is encrypted"
        }
        _ => "point `[[snapshots]]` of the inventory at a place that holds at least one whole snapshot",
    };
    Finding::error("no-snapshot", message, help)
}

fn passed_over(PassedOver { name, source, reason }: &PassedOver) -> Finding {
    if name == PassedOver::ALL {
        return Finding::warning(
            "source-unusable",
            reason.clone(),
            "a newer snapshot may be there: see why the source cannot be reached",
        );
    }
    Finding::warning(
        "snapshot-passed-over",
        format!("`{name}` of {source} was passed over, and it may be newer: {reason}"),
        "an older snapshot is used; find out why the newer one is not whole, its changes will be missing",
    )
}

fn age(look: &Look) -> Finding {
    let Ok(search) = &look.snapshot else {
        return Finding::ok("snapshot-age", "unknown");
    };
    let limit = look.inventory.policy.max_snapshot_age;
    let age = look.now.duration_since(search.chosen.taken);
    let from = match search.chosen.time_from {
        TimeFrom::Name => "by the time in its name",
        TimeFrom::File => "by the file's own time, as its name holds none",
    };
    let name = &search.chosen.name;
    let said = format!("`{name}` is {} old {from}; up to {limit} is allowed", human_seconds(age.as_secs_f64()));
    if age.as_secs_f64() > limit.duration().as_secs_f64() {
        return Finding::error(
            "snapshot-too-old",
            said,
            "all changes since then would be lost: find a newer snapshot, or accept the loss with `--accept snapshot-too-old`",
        );
    }
    if age.as_secs_f64() < -look.inventory.policy.max_clock_skew.duration().as_secs_f64() {
        return Finding::warning(
            "snapshot-from-the-future",
            said,
            "the clock of the host that saved it, or this one's, is wrong",
        );
    }
    Finding::ok("snapshot-age", said)
}
