//! `drctl plan`: the checks, then the steps and what each would change.

use super::args::{Globals, Site};
use super::exit::{Exit, Fault};
use super::session::{Session, refuse};
use crate::check::Purpose;
use crate::plan::Plan;

pub(super) async fn run(globals: &Globals, site: &Site) -> Result<Exit, Fault> {
    let session = Session::load(globals, site)?;
    let (look, findings) = session.look(&session.new_run_id()?, Purpose::Ask).await;
    session.face.plan(&Plan::of(&look, &session.past()));
    refuse(&look, &findings, site)?;
    Ok(Exit::Done)
}
