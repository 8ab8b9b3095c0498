//! `drctl pki`: the certificate authorities by themselves.

mod bundle;
mod table;
mod verify;

use super::args::{Globals, Pki, PkiCommand};
use super::exit::{Exit, Fault};
use crate::actions::Finding;
use crate::check;
use crate::face::Face;

pub(super) async fn run(globals: &Globals, args: &Pki) -> Result<Exit, Fault> {
    match &args.command {
        PkiCommand::Verify(args) => verify::run(globals, args).await,
        PkiCommand::Bundle(args) => bundle::run(globals, args).await,
    }
}

/// Shows what was found; an error ends the command.
fn told(face: &dyn Face, findings: &[Finding]) -> Result<(), Fault> {
    face.findings(findings);
    let errors: Vec<Finding> = check::refused(findings, &[]).into_iter().cloned().collect();
    if errors.is_empty() { Ok(()) } else { Err(Fault::Checks(errors)) }
}
