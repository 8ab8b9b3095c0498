//! Rehearsals: a throwaway target from a provider, a restore onto it by the very engine and playbook that production
//! would use, proofs, and nothing left behind.
//!
//! - [`settings`]: `[drill]` of the inventory;
//! - [`order`]: what a provider is asked for;
//! - [`providers`]: what makes and takes away targets;
//! - [`link`]: the only way to a target;
//! - [`mod@derive`]: production's inventory and playbook, with as little changed as isolation needs;
//! - [`fault`]: what a game day breaks on purpose;
//! - [`record`]: what is known of each drill, so that nothing is ever left running;
//! - [`schedule`]: what rehearses regularly.
//!
//! The restore itself is an ordinary run, with a journal below the drill's folder.

pub mod derive;
pub mod fault;
pub mod level;
pub mod link;
pub mod order;
pub mod providers;
pub mod record;
pub mod schedule;
pub mod settings;

pub use level::Level;
pub use order::Order;
pub use record::{DrillFolder, DrillRecord, Drills, RecordError, TargetState};
pub use settings::DrillSettings;

use providers::ProviderError;

/// What became of a drill's leftovers.
#[derive(Debug)]
pub enum Swept {
    /// Another process works on it.
    Working,
    /// Nothing of it was left.
    Nothing,
    /// It ended before its target was planned; what it had fetched is gone now.
    Discarded,
    /// Its target is gone now.
    Destroyed,
    /// Its target could not be taken away.
    Failed(ProviderError),
}

/// Takes away what a drill left, unless a process still works on it.
pub async fn sweep(folder: &DrillFolder) -> Result<Swept, RecordError> {
    let Some(_working) = folder.lock()? else { return Ok(Swept::Working) };
    let Some(record) = folder.read()? else {
        return Ok(if folder.discard()? { Swept::Discarded } else { Swept::Nothing });
    };
    if record.target == TargetState::Destroyed {
        return Ok(Swept::Nothing);
    }
    match record.provider.provider().destroy(&record.order).await {
        Ok(()) => {
            folder.clear()?;
            folder.write(&DrillRecord { target: TargetState::Destroyed, ..record })?;
            Ok(Swept::Destroyed)
        }
        Err(error) => Ok(Swept::Failed(error)),
    }
}
