//! `drctl pki verify`: are these the cluster's authorities, whole and in date?

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::{table, told};
use crate::actions::Finding;
use crate::check::{self, PkiContents, Seen};
use crate::cli::args::{Globals, PkiVerify};
use crate::cli::exit::{Exit, Fault};
use crate::cli::session::state_dir;
use crate::engine::chain;
use crate::face::face;
use crate::inventory::{self, Inventory, Pki, PkiFiles};
use crate::sources::{self, Search, SourceError, Unpack};

pub(super) async fn run(globals: &Globals, args: &PkiVerify) -> Result<Exit, Fault> {
    let inventory = match (&args.dir, &globals.inventory) {
        (Some(_), None) => None,
        (None, Some(path)) => Some(inventory::load(path)?.inventory),
        _ => {
            return Err(Fault::Usage {
                message: "either a folder or an inventory must be named".to_owned(),
                help: "pass `--dir DIR`, or `--inventory FILE`".to_owned(),
            });
        }
    };
    let face = face(globals.json(), globals.verbose > 0);
    face.doing("reading the certificate authorities");
    let (files, contents) = match (&inventory, &args.dir) {
        (Some(inventory), _) => check::read_pki(inventory).await,
        (None, dir) => of_folder(dir.as_deref().unwrap_or(Path::new("."))).await,
    };
    let search = match &inventory {
        Some(inventory) => Some(newest(globals, inventory).await?),
        None => None,
    };
    let claims = search.as_ref().and_then(|search| Some(&search.as_ref().ok()?.chosen.claims));
    let cluster = inventory.as_ref().map(|inventory| &inventory.cluster);
    let seen = Seen { files: &files, contents: &contents, claims, cluster, now: Timestamp::now() };
    table::show(&table::rows(&files, &contents), globals.json())?;
    let mut findings = check::judge_pki(&seen);
    if let Some(Err(error)) = &search {
        findings.push(Finding::warning(
            "ca-unproven",
            format!("that these are the cluster's own cannot be proved: {}", chain(error)),
            "`drctl check` tells what is wrong with the snapshots",
        ));
    }
    told(face.as_ref(), &findings)?;
    Ok(Exit::Done)
}

async fn newest(globals: &Globals, inventory: &Inventory) -> Result<Result<Search, SourceError>, Fault> {
    let cache = state_dir(globals)?.join("snapshots");
    Ok(sources::newest(&inventory.sources, &cache, &Unpack::from(inventory), &|_, _| {}).await)
}

/// A folder by itself.
pub(super) async fn of_folder(dir: &Path) -> (Arc<PkiFiles>, PkiContents) {
    let pki = Pki { dir: Some(dir.to_owned()), ..Pki::default() };
    let files = PkiFiles::find(&pki, None);
    let contents = check::read_files(&files).await;
    (Arc::new(files), contents)
}
