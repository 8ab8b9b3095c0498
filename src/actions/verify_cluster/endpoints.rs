//! Where pods reach the API server: addresses of before must be gone from the Service `kubernetes`.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{PAUSE, Proof, text_at};
use crate::actions::ActionError;
use crate::actions::control_plane::Node;

/// API servers write the addresses anew every 10 s.
const PATIENCE: Duration = Duration::from_secs(25);
const PATH: &str = "/api/v1/namespaces/default/endpoints/kubernetes";

/// The addresses. Those of the snapshot's other API servers are given time to go; when they stay, that is told, and
/// fails nothing.
pub(super) async fn compare(proof: &Proof<'_>) -> Result<String, ActionError> {
    let own = Node::of(proof.cx.inventory, proof.cx.facts).map(|node| node.address);
    let of_before =
        |address: &&String| Some(*address) != own.as_ref() && proof.cx.snapshot.claims.api_servers.contains(address);
    let until = proof.until.min(Instant::now() + PATIENCE);
    proof.cx.tell.note("looking where the Service `kubernetes` leads");
    loop {
        let now = addresses(&proof.get(PATH).await?);
        let stale: Vec<String> = now.iter().filter(of_before).cloned().collect();
        if stale.is_empty() {
            return Ok(if now.is_empty() { "none".to_owned() } else { now.join(", ") });
        }
        if Instant::now() >= until {
            let (now, stale) = (now.join(", "), stale.join(", "));
            return Ok(format!("{now}; connections hang that are led to API servers of before: {stale}"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn addresses(endpoints: &Value) -> Vec<String> {
    let subsets = endpoints["subsets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let addresses = subsets.iter().filter_map(|subset| subset["addresses"].as_array()).flatten();
    addresses.map(|address| text_at(address, "/ip")).collect()
}
