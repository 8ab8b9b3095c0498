//! `drctl snapshot verify`: whole or not, and why.

use console::style;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::place::{Finder, Place};
use super::{answer, verified};
use crate::causes::chain;
use crate::cli::args::{Globals, Verify};
use crate::cli::exit::{Exit, Fault};
use crate::packing::Packing;
use crate::snapshot::verify::{Outcome, Proof, Subject};
use crate::snapshot::{ExamineError, Verified};

/// What its line of JSON is called.
pub(super) const KIND: &str = "snapshot_verified";

/// What `drctl snapshot verify` answers for each snapshot.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SnapshotVerified")]
pub(super) struct Answer {
    /// The file or name that was asked for.
    name: String,
    /// The file on this controller; null when it is not known any more.
    path: Option<String>,
    /// What it is packed in, outermost first; size and digest are of what is within.
    #[schemars(with = "Vec<String>")]
    packed: Vec<Packing>,
    /// The source it is from; null for a file.
    source: Option<String>,
    /// When it was taken, by its name or else the file's time.
    #[schemars(with = "Option<String>")]
    taken: Option<Timestamp>,
    #[serde(flatten)]
    verified: Verified,
}

pub(super) async fn run(globals: &Globals, args: &Verify) -> Result<Exit, Fault> {
    let finder = Finder::new(globals);
    let (mut missing, mut broken) = (false, false);
    for word in &args.snapshots {
        match finder.find(word).await {
            Ok(place) => broken |= !tell(globals, place).await?,
            Err(fault) => {
                fault.tell(globals.json());
                broken |= fault.exit() == Exit::Checks;
                missing |= fault.exit() != Exit::Checks;
            }
        }
    }
    Ok(match (broken, missing) {
        (true, _) => Exit::Checks,
        (false, true) => Exit::Usage,
        (false, false) => Exit::Done,
    })
}

/// Says what was found; whether it is whole.
async fn tell(globals: &Globals, place: Place) -> Result<bool, Fault> {
    let verified = match verified(&place.opened).await {
        Ok(verified) => verified,
        Err(error) => unread(&place, &error)?,
    };
    let path = place.path();
    let Place { name, opened, source, taken, .. } = place;
    let found = Answer { name, path, packed: opened.packed, source, taken, verified };
    answer(globals, KIND, &found, || text(&found))?;
    Ok(found.verified.whole)
}

/// A file that is there and cannot be read to its end is not whole; one that cannot be opened is a mistake of the caller.
fn unread(place: &Place, error: &ExamineError) -> Result<Verified, Fault> {
    let said = chain(error);
    if let ExamineError::Open { .. } = error {
        return Err(Fault::Usage {
            message: format!("`{}`: {said}", place.name),
            help: "see the path and its permissions".to_owned(),
        });
    }
    Ok(Verified::unreadable(said))
}

fn text(answer: &Answer) -> String {
    let Answer { name, source, packed, verified, .. } = answer;
    let source = source.as_ref().map(|source| format!(" in {source}")).unwrap_or_default();
    let packed: String = packed.iter().map(|packing| format!(", packed with {packing}")).collect();
    let mut text = format!("{}{source}{packed}\n", style(name).bold());
    for proof in &verified.proofs {
        text.push_str(&line(proof));
    }
    let verdict = match verified.fault() {
        None => style("whole").green().bold().to_string(),
        Some(_) => style("NOT WHOLE").red().bold().to_string(),
    };
    let digest = verified.sha256.map(|sum| format!("  {} bytes, sha256 {sum}", verified.size)).unwrap_or_default();
    text.push_str(&format!("  {verdict}{digest}\n"));
    text
}

fn line(Proof { of, outcome, said }: &Proof) -> String {
    let mark = match outcome {
        Outcome::Passed => style("ok   ").green(),
        Outcome::Warned => style("warn ").yellow(),
        Outcome::Failed => style("ERROR").red().bold(),
        Outcome::NotReached => style("-    ").dim(),
    };
    let of = match of {
        Subject::Digest => "digest",
        Subject::Metas => "metas",
        Subject::Pages => "pages",
        Subject::Records => "records",
        Subject::Objects => "objects",
        Subject::Alarms => "alarms",
    };
    format!("  {mark} {of:<8} {}\n", super::table::plain(said))
}
