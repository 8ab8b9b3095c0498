//! Is the old control plane silent? Two of them with one CA would tear the cluster apart.

use super::{Look, Purpose};
use crate::actions::Finding;
use crate::inventory::ListenFrom;

pub(super) fn check(look: &Look) -> Vec<Finding> {
    look.answers
        .iter()
        .map(|answer| {
            if !answer.answers {
                return Finding::ok("old-control-plane", format!("nothing answers at {}", answer.address));
            }
            let said =
                format!("something answers at {}: the control plane is not dead, or its address is taken", answer.address);
            if look.inventory.fencing.listen_from == ListenFrom::Target && look.purpose == Purpose::Restore {
                return Finding::error(
                    "old-control-plane-answers",
                    format!("as the target sees it, {said}"),
                    "the target's network must lead to nothing of the living cluster: a drill on it could destroy the \
                     cluster's data; in a real restore switch the old control plane off",
                );
            }
            match (look.purpose, &look.inventory.fencing.command) {
                (Purpose::Ask, _) => Finding::warning(
                    "old-control-plane-answers",
                    said,
                    "as it should be while the cluster lives; a restore would be refused, or begin with the fencing command",
                ),
                (Purpose::Restore, Some(_)) => Finding::warning(
                    "old-control-plane-answers",
                    said,
                    "the fencing command is run first; if something answers after it, the run stops with the target untouched",
                ),
                (Purpose::Restore, None) => Finding::error(
                    "old-control-plane-answers",
                    said,
                    "a restore now would make a second control plane with the same CA: switch the old one off (see `[fencing]`), then run again",
                ),
            }
        })
        .collect()
}
