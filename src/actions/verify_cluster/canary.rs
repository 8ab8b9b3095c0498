//! A namespace that controllers must fill and empty: answering is not yet working.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Proof, Seen, text_at, wait};
use crate::actions::ActionError;
use crate::kube::{ApiClient, ApiError};

/// Made by the service-account controller in every new namespace.
const MADE_BY_CONTROLLER: &str = "serviceaccounts/default";
/// What the namespace controller says when it cannot learn what a namespace may hold: a group is served by pods, and they
/// are not back.
const NOT_DISCOVERED: &str = "NamespaceDeletionDiscoveryFailure";
/// What is said while nobody does.
const NOT_FILLED: &str = "no controller has filled the canary namespace";
/// How long a namespace that was emptied is given to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the controllers did. That they act is proved before the namespace is gone: it stays until each API group answers.
pub(super) async fn prove(proof: &Proof<'_>) -> Result<String, ActionError> {
    let name = name(proof.cx.run);
    let canary = Canary { api: &proof.api, path: format!("/api/v1/namespaces/{name}") };
    proof.cx.tell.note("making a canary namespace");
    proof.cx.still_holds().await?;
    wait(proof.until, || async { Ok(done("making the canary namespace", canary.make(&name).await)) }).await?;
    proof.cx.tell.note("waiting until controllers fill the canary namespace");
    canary.filled(proof.until, &name).await?;
    wait(proof.until, || async { Ok(done("deleting the canary namespace", canary.api.delete(&canary.path).await)) })
        .await?;
    proof.cx.tell.note("waiting until controllers empty the canary namespace");
    let emptied = "no controller has emptied the canary namespace";
    let shown = canary.becomes(proof.until, Shown::is_emptied, emptied).await?;
    let until = proof.until.min(Instant::now() + PATIENCE);
    if canary.becomes(until, Shown::is_gone, "it is still there").await.is_ok() {
        return Ok("reconciled".to_owned());
    }
    let why = shown.not_discovered().map(|why| format!(" ({why})")).unwrap_or_default();
    Ok(format!("reconciled; namespace {name} goes by itself once every API group answers{why}"))
}

/// A webhook that must be asked may have no pods yet.
fn done(what: &str, answer: Result<(), ApiError>) -> Seen<()> {
    match answer {
        Ok(()) => Seen::Yes(()),
        Err(error) => Seen::NotYet(format!("{what}: {error}")),
    }
}

struct Canary<'a> {
    api: &'a ApiClient,
    path: String,
}

impl Canary<'_> {
    async fn make(&self, name: &str) -> Result<(), ApiError> {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "drctl"}},
        });
        self.api.create("/api/v1/namespaces", &namespace).await
    }

    /// Until it is filled. One that was on its way out was found as if it were made, and is made again once it has gone.
    async fn filled(&self, until: Instant, name: &str) -> Result<(), ActionError> {
        wait(until, || async {
            let shown = match self.look().await {
                Ok(shown) if shown.is_filled() => return Ok(Seen::Yes(())),
                Ok(shown) if shown.is_gone() => self.make(name).await,
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            let otherwise = shown.map_or_else(|error| error.to_string(), |()| NOT_FILLED.to_owned());
            Ok(Seen::NotYet(otherwise))
        })
        .await
    }

    async fn becomes(&self, until: Instant, so: fn(&Shown) -> bool, otherwise: &str) -> Result<Shown, ActionError> {
        wait(until, || async {
            Ok(match self.look().await {
                Ok(shown) if so(&shown) => Seen::Yes(shown),
                Ok(_) => Seen::NotYet(otherwise.to_owned()),
                Err(error) => Seen::NotYet(error.to_string()),
            })
        })
        .await
    }

    async fn look(&self) -> Result<Shown, ApiError> {
        let namespace = self.api.find(&self.path).await?;
        let account = self.api.find(&format!("{}/{MADE_BY_CONTROLLER}", self.path)).await?;
        Ok(Shown { namespace, has_account: account.is_some() })
    }
}

/// What is seen of the canary.
struct Shown {
    namespace: Option<Value>,
    has_account: bool,
}

impl Shown {
    /// One that is on its way out was filled: an attempt before this one deleted it.
    fn is_filled(&self) -> bool {
        self.has_account || self.is_terminating()
    }

    fn is_emptied(&self) -> bool {
        self.is_gone() || self.is_terminating() && (!self.has_account || self.not_discovered().is_some())
    }

    fn is_gone(&self) -> bool {
        self.namespace.is_none()
    }

    fn is_terminating(&self) -> bool {
        self.namespace.as_ref().is_some_and(|namespace| text_at(namespace, "/status/phase") == "Terminating")
    }

    /// Why the namespace controller, which has been at it, cannot end its work.
    fn not_discovered(&self) -> Option<String> {
        let conditions = self.namespace.as_ref()?.pointer("/status/conditions")?.as_array()?;
        let stuck = conditions.iter().find(|it| it["type"] == NOT_DISCOVERED && it["status"] == "True")?;
        Some(text_at(stuck, "/message"))
    }
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
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::time::Instant;

    use super::{Canary, Shown, name};
    use crate::kube::stand_in::stand_in;

    fn shown(phase: Option<&str>, discovery: Option<&str>, has_account: bool) -> Shown {
        let condition = |status| json!({"type": "NamespaceDeletionDiscoveryFailure", "status": status, "message": "m"});
        let conditions: Vec<Value> = discovery.into_iter().map(condition).collect();
        let namespace = phase.map(|phase| json!({"status": {"phase": phase, "conditions": conditions}}));
        Shown { namespace, has_account }
    }

    #[test]
    fn what_only_controllers_do_proves_that_they_act() {
        assert!(!shown(Some("Active"), None, false).is_filled());
        assert!(shown(Some("Active"), None, true).is_filled());
        assert!(shown(Some("Terminating"), None, false).is_filled(), "an attempt before this one deleted it");
        for (emptied, shown) in [
            (true, shown(None, None, false)),
            (true, shown(Some("Terminating"), None, false)),
            (true, shown(Some("Terminating"), Some("True"), true)),
            (false, shown(Some("Terminating"), None, true)),
            (false, shown(Some("Terminating"), Some("False"), true)),
            // Nobody has deleted it: that there is no account says that none was made.
            (false, shown(Some("Active"), None, false)),
        ] {
            assert_eq!(shown.is_emptied(), emptied, "{:?}, account: {}", shown.namespace, shown.has_account);
        }
    }

    /// An earlier attempt's goes between the first look at it and the next, and takes its name until then.
    #[tokio::test]
    async fn one_that_was_still_going_is_made_again() {
        let mut posts = 0;
        let api = stand_in(move |method, path| {
            posts += u32::from(method == "POST");
            match (method, path) {
                ("POST", "/api/v1/namespaces") => (if posts == 1 { 409 } else { 201 }, json!({})),
                ("GET", "/api/v1/namespaces/drctl-a") if posts == 2 => (200, json!({"status": {"phase": "Active"}})),
                ("GET", "/api/v1/namespaces/drctl-a/serviceaccounts/default") if posts == 2 => (200, json!({})),
                _ => (404, json!({"message": "not found"})),
            }
        });
        let api = api.await;
        let canary = Canary { api: &api, path: "/api/v1/namespaces/drctl-a".to_owned() };
        canary.make("drctl-a").await.unwrap();
        canary.filled(Instant::now() + Duration::from_secs(20), "drctl-a").await.unwrap();
    }

    #[test]
    fn what_keeps_it_is_told() {
        assert_eq!(shown(Some("Terminating"), Some("True"), false).not_discovered().as_deref(), Some("m"));
        assert_eq!(shown(Some("Terminating"), Some("False"), false).not_discovered(), None);
    }

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
