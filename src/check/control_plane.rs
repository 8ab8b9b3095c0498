//! Is the old control plane silent? Two of them with one CA would tear the cluster apart.

use super::{Look, Purpose};
use crate::actions::Finding;
use crate::inventory::ListenFrom;
use crate::target::Heard;

/// That something answers where nothing may.
pub const ANSWERS: &str = "old-control-plane-answers";
/// That nobody could ask.
pub const UNHEARD: &str = "old-control-plane-unheard";

pub(super) fn check(look: &Look) -> Vec<Finding> {
    look.answers
        .iter()
        .map(|answer| {
            match &answer.heard {
                Heard::Answer => {}
                Heard::Silence => {
                    return Finding::ok("old-control-plane", format!("nothing answers at {}", answer.address));
                }
                Heard::Unasked(reason) => return unheard(look, &answer.address, reason),
            }
            let said =
                format!("something answers at {}: the control plane is not dead, or its address is taken", answer.address);
            if look.inventory.fencing.listen_from == ListenFrom::Target && look.purpose == Purpose::Restore {
                return Finding::error(
                    ANSWERS,
                    format!("as the target sees it, {said}"),
                    "the target's network must lead to nothing of the living cluster: a drill on it could destroy the \
                     cluster's data; in a real restore switch the old control plane off",
                );
            }
            match (look.purpose, &look.inventory.fencing.command) {
                (Purpose::Ask, _) => Finding::warning(
                    ANSWERS,
                    said,
                    "as it should be while the cluster lives; a restore would be refused, or begin with the fencing command",
                ),
                (Purpose::Restore, Some(_)) => Finding::warning(
                    ANSWERS,
                    said,
                    "the fencing command is run first; if something answers after it, the run stops with the target untouched",
                ),
                (Purpose::Restore, None) => Finding::error(
                    ANSWERS,
                    said,
                    "a restore now would make a second control plane with the same CA: switch the old one off (see `[fencing]`), then run again",
                ),
            }
        })
        .collect()
}

fn unheard(look: &Look, address: &str, reason: &str) -> Finding {
    let said = format!("nobody could ask whether something answers at {address}: {reason}");
    let help = "see that the old control plane is off; a second one with the same CA would tear the cluster apart";
    match look.purpose {
        Purpose::Ask => Finding::warning(UNHEARD, said, help),
        Purpose::Restore => Finding::error(UNHEARD, said, help),
    }
}
