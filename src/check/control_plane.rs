//! Is the old control plane silent? Two of them with one CA would tear the cluster apart.

use super::Look;
use crate::actions::Finding;

pub(super) fn check(look: &Look) -> Vec<Finding> {
    look.answers
        .iter()
        .map(|answer| {
            if !answer.answers {
                return Finding::ok("old-control-plane", format!("nothing answers at {}", answer.address));
            }
            Finding::error(
                "old-control-plane-answers",
                format!("something answers at {}: the control plane is not dead, or its address is taken", answer.address),
                "a restore now would make a second control plane with the same CA: switch the old one off (see `[fencing]`), then run again",
            )
        })
        .collect()
}
