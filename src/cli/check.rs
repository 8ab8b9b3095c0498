//! `drctl check`: could we recover right now?

use super::args::{Globals, Site};
use super::exit::{Exit, Fault};
use super::session::{Session, refuse};
use crate::check::Purpose;

pub(super) async fn run(globals: &Globals, site: &Site) -> Result<Exit, Fault> {
    let session = Session::load(globals, site)?;
    let (look, findings) = session.look(&session.new_run_id()?, Purpose::Ask).await;
    refuse(&look, &findings, site)?;
    Ok(Exit::Done)
}
