//! What the steps of a run have in their folders on the target.

use super::{Target, TargetError, component, script};

/// Something in the folder of a step: what it kept, a command that it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The step's folder, by its name alone.
    folder: String,
    /// Its own name there.
    pub name: String,
}

impl Target {
    /// Everything in the folders of the run's steps. Its first is made only after the journal has the step as begun.
    pub async fn entries(&self) -> Result<Vec<Entry>, TargetError> {
        let body = "for entry in \"$run\"/*/*; do [ ! -e \"$entry\" ] || echo \"${entry#\"$run\"/}\"; done";
        let run = self.run_folder();
        let answer = self.ask("list what the run's steps have there", &script(&[("run", &run)], body)).await?;
        let entry = |line: &str| {
            let (folder, name) = line.split_once('/')?;
            Some(Entry { folder: folder.to_owned(), name: name.to_owned() })
        };
        Ok(answer.lines().filter_map(entry).collect())
    }
}

impl Entry {
    /// One in the folder of this step.
    pub fn new(step: &str, name: &str) -> Self {
        Self { folder: component(step), name: name.to_owned() }
    }

    /// Whether it is of this step.
    pub fn is_of(&self, step: &str) -> bool {
        self.folder == component(step)
    }

    /// The attempt of the step that it is of, when it is a command's.
    pub fn attempt(&self) -> Option<u32> {
        self.name.split_once('-')?.0.parse().ok()
    }

    /// Whether it is what the step kept.
    pub fn is_aside(&self) -> bool {
        self.name == "aside"
    }
}
