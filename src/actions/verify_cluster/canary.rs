//! A namespace that controllers must fill and empty: answering is not yet working.

use serde_json::json;

use super::{Proof, Seen, failed, wait};
use crate::actions::ActionError;

/// Made by the service-account controller in every new namespace.
const MADE_BY_CONTROLLER: &str = "serviceaccounts/default";

pub(super) async fn prove(proof: &Proof<'_>) -> Result<(), ActionError> {
    let name = name(proof.cx.run);
    let path = format!("/api/v1/namespaces/{name}");
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "drctl"}},
    });
    proof.cx.tell.note("making a canary namespace");
    proof
        .api
        .create("/api/v1/namespaces", &namespace)
        .await
        .map_err(|error| failed("making the canary namespace", &error))?;
    proof.cx.tell.note("waiting until controllers fill the canary namespace");
    let made = format!("{path}/{MADE_BY_CONTROLLER}");
    gone_or_there(proof, &made, true, "no controller has filled the canary namespace").await?;
    proof.api.delete(&path).await.map_err(|error| failed("deleting the canary namespace", &error))?;
    proof.cx.tell.note("waiting until controllers empty the canary namespace");
    gone_or_there(proof, &path, false, "no controller has emptied the canary namespace").await
}

async fn gone_or_there(proof: &Proof<'_>, path: &str, there: bool, otherwise: &str) -> Result<(), ActionError> {
    wait(proof.until, || async {
        Ok(match proof.api.find(path).await {
            Ok(found) if found.is_some() == there => Seen::Yes(()),
            Ok(_) => Seen::NotYet(otherwise.to_owned()),
            Err(error) => Seen::NotYet(error.to_string()),
        })
    })
    .await
}

/// A run that is taken up again finds its own canary.
fn name(run: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = format!("drctl-canary-{run}").chars().map(allowed).collect();
    // Names of namespaces end after 63 characters; the run's random part is at its end.
    let from = name.len().saturating_sub(50);
    format!("drctl-{}", name[from..].trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_are_labels() {
        let long = name(&"Prod.EU_".repeat(20));
        for name in [name("prod-20261123T235900Z-3f9c"), long] {
            assert!(name.len() <= 63, "{name}");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{name}"
            );
            assert!(!name.ends_with('-'), "{name}");
        }
    }
}
