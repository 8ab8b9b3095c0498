//! Which nodes of the snapshot are back, and whose taints changed: told, never a failure.

use jiff::Timestamp;
use serde_json::Value;

use super::{Proof, text_at};
use crate::actions::ActionError;
use crate::snapshot::taint_text;

pub(super) struct Nodes {
    pub(super) taints: String,
    pub(super) back: String,
    pub(super) missing: String,
}

pub(super) async fn compare(proof: &Proof<'_>) -> Result<Nodes, ActionError> {
    let listed = proof.get("/api/v1/nodes").await?;
    let now: Vec<&Value> = listed["items"].as_array().map(|items| items.iter().collect()).unwrap_or_default();
    let leases = proof.api.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases").await.ok();
    let mut differences = Vec::new();
    let (mut back, mut missing) = (Vec::new(), Vec::new());
    for before in &proof.cx.snapshot.claims.nodes {
        let current = now.iter().find(|node| text_at(node, "/metadata/name") == before.name);
        if current.is_some_and(|node| is_ready(node) && is_heard(node, leases.as_ref(), proof.cx.snapshot.taken)) {
            &mut back
        } else {
            &mut missing
        }
        .push(before.name.clone());
        let Some(current) = current else { continue };
        let mut had = before.taints.clone();
        let mut has = taints(current);
        // What the node controller adds to a node that is away goes when the node is back.
        for taints in [&mut had, &mut has] {
            taints.retain(|taint| !taint.starts_with("node.kubernetes.io/"));
            taints.sort();
        }
        if before.control_plane && had != has {
            differences.push(format!("{}: was [{}], is [{}]", before.name, had.join(", "), has.join(", ")));
        }
    }
    let total = proof.cx.snapshot.claims.nodes.len();
    let taints = if differences.is_empty() { "as before".to_owned() } else { differences.join("; ") };
    let missing = if missing.is_empty() { "none".to_owned() } else { missing.join(", ") };
    Ok(Nodes { taints, back: format!("{} of {total}", back.len()), missing })
}

/// Whether the node's kubelet has spoken since the snapshot: `Ready` alone may be the snapshot's own word.
fn is_heard(node: &Value, leases: Option<&Value>, since: Timestamp) -> bool {
    let name = text_at(node, "/metadata/name");
    let items = leases.and_then(|leases| leases["items"].as_array()).map(Vec::as_slice).unwrap_or_default();
    let lease = items.iter().find(|lease| text_at(lease, "/metadata/name") == name);
    let conditions =
        node.pointer("/status/conditions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let beats = conditions.iter().map(|condition| text_at(condition, "/lastHeartbeatTime"));
    let renewed = lease.map(|lease| text_at(lease, "/spec/renewTime"));
    beats.chain(renewed).filter_map(|time| time.parse::<Timestamp>().ok()).any(|time| time > since)
}

fn is_ready(node: &Value) -> bool {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    conditions.is_some_and(|conditions| {
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    })
}

fn taints(node: &Value) -> Vec<String> {
    let taints = node.pointer("/spec/taints").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text =
        |taint: &Value| taint_text(&text_at(taint, "/key"), &text_at(taint, "/value"), &text_at(taint, "/effect"));
    taints.iter().map(text).collect()
}
