//! `drctl pki bundle`: a folder's files in one file that only its recipients can open.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::Timestamp;

use super::told;
use super::verify::of_folder;
use crate::check::{self, Seen};
use crate::cli::args::{Globals, PkiBundle};
use crate::cli::exit::{Exit, Fault};
use crate::face::face;
use crate::inventory::Secret;
use crate::pki_set::bundle::{self, Recipients};

pub(super) async fn run(globals: &Globals, args: &PkiBundle) -> Result<Exit, Fault> {
    let usage = |message: String| Fault::Usage { message, help: "see `drctl pki bundle --help`".to_owned() };
    let recipients = Recipients::parse(&args.recipient).map_err(|error| usage(error.to_string()))?;
    let face = face(globals.json(), globals.verbose > 0);
    let (files, contents) = of_folder(&args.from).await;
    let seen = Seen { files: &files, contents: &contents, claims: None, cluster: None, now: Timestamp::now() };
    told(face.as_ref(), &check::judge_pki(&seen))?;
    let read: Vec<(&str, &Secret)> =
        contents.iter().filter_map(|(name, content)| Some((name.as_str(), content.as_ref().ok()?))).collect();
    let packed = bundle::make(&read, &recipients).map_err(|error| usage(error.to_string()))?;
    write(&args.to, &packed).map_err(|source| Fault::Io { what: format!("write `{}`", args.to.display()), source })?;
    face.doing(&format!("wrote {} files to {}; only the recipients can open it", read.len(), args.to.display()));
    Ok(Exit::Done)
}

/// A bundle that is there already is somebody's only copy.
fn write(path: &Path, packed: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(packed).and_then(|()| file.sync_all()).inspect_err(|_| {
        // Half a bundle is worse than none; that it could not be written is what is told.
        drop(std::fs::remove_file(path));
    })
}
