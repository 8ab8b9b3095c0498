//! What to do about runs that cannot be used.

use crate::journal::JournalError;
use crate::runs::RunsError;

pub(super) fn of_runs(error: &RunsError) -> String {
    let list =
        "`drctl runs` lists the runs of this controller; with `[state]` in the inventory, pass `--inventory` too";
    match error {
        RunsError::Unknown { .. } | RunsError::Ambiguous { .. } | RunsError::NoneOpen { .. } => list.to_owned(),
        RunsError::Frozen { path, .. } => format!(
            "nothing was touched: bring back the text that the run froze, from a backup of `{}`; \
             a changed inventory or playbook is for a new run",
            path.display()
        ),
        RunsError::Unreadable { id, what, source } => format!(
            "nothing was touched: {}\nanother run is {what} when it is named; one that needs neither is out of the way \
             once its folder is moved from among the runs: {id}",
            of_journal(source)
        ),
        RunsError::Journal(error) => of_journal(error),
        RunsError::Io { .. } => "see the path, its permissions and the space on its disk".to_owned(),
    }
}

fn of_journal(error: &JournalError) -> String {
    match error {
        JournalError::Io { .. } => "see the path, its permissions and the space on its disk".to_owned(),
        JournalError::Busy { .. } => "wait for that process, or end it".to_owned(),
        JournalError::Damaged { .. } | JournalError::Illegal { .. } => {
            "a damaged journal is not acted upon: bring it back from a backup of the folder of journals; without one, see \
             on the target what stands in `/var/lib/drctl` and beside the paths that the playbook touches (`.drctl-…`), \
             then `drctl restore --take-over RUN`"
                .to_owned()
        }
        JournalError::Format { .. } => "use the drctl that wrote it, or a later one".to_owned(),
        JournalError::OtherRun { found, .. } => format!("a run's folder has the name of its run: call it `{found}` again"),
        JournalError::Empty { .. } => "its process ended before it began, and nothing was touched: `drctl restore` begins a new one".to_owned(),
    }
}
