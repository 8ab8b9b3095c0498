//! What the steps that place one file have in common: after it the file is there, byte for byte,
//! with its mode and owner.

use super::{ActionError, Context, Verdict};
use crate::target::{Payload, Place, quote};
use crate::text::Values;

pub(super) async fn apply(cx: &Context<'_>, payload: Payload<'_>, place: &Place) -> Result<(), ActionError> {
    cx.target.place(payload, place, &|done, total| cx.tell.bytes(done, total)).await?;
    Ok(())
}

/// Whether a file is as it was to be.
pub(super) async fn verify(
    cx: &Context<'_>,
    payload: Payload<'_>,
    place: &Place,
    outputs: Values,
) -> Result<Verdict, ActionError> {
    let did_not = |reason| Ok(Verdict::DidNot { reason });
    let (_, sha) = payload.measure().await?;
    match cx.target.digest(&place.to).await? {
        None => return did_not(format!("{} is not there", place.to)),
        Some(found) if found != sha => return did_not(format!("{} has other bytes", place.to)),
        Some(_) => {}
    }
    let script = format!("stat -c '|%a %U:%G|%a %u:%g|%a %U:%g|%a %u:%G|' -- {}", quote(&place.to));
    let found = cx.target.ask(&format!("look at `{}`", place.to), &script).await?;
    if found.contains(&format!("|{:o} {}|", place.mode, place.owner)) {
        return Ok(Verdict::Took(outputs));
    }
    let found = found.split('|').nth(1).unwrap_or_default();
    did_not(format!("{} is {found} instead of {:o} {}", place.to, place.mode, place.owner))
}
