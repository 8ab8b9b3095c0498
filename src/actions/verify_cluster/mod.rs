//! Proof that what came up is the cluster, and that it works and not only answers.

mod canary;
mod endpoints;
mod nodes;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::api::{self, PAUSE, Seen, admin_conf, failed, text_at, unexpected, wait};
use super::{
    Action, ActionError, Context, Declared, Description, Finding, Loopback, NOT_TRIED, Outcome, PlanContext, SetAside,
    Verdict,
};
use crate::inventory::Secret;
use crate::kube::{ApiClient, Credentials};
use crate::text::{Text, Values};

/// Waits for `/readyz`, then proves: the served certificate is signed by the CA, the `kube-system` namespace is the
/// snapshot's (of one that does not show it, the one that the inventory pins), the old admin credential is accepted, a
/// controller-manager leads, and an object is reconciled.
///
/// Addresses of API servers of before that are still used, taints of control-plane nodes that changed, and nodes that
/// are not back, are reported and fail nothing.
///
/// ```toml
/// [[step]]
/// name = "verify-cluster"
/// action = "verify_cluster"
/// timeout = "5m"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyCluster {
    /// The new administrator's kubeconfig on the target (default kubeadm's).
    #[serde(default = "admin_conf")]
    kubeconfig: Text,
    /// Whether a namespace is made, seen reconciled and deleted (default yes).
    #[serde(default = "yes")]
    canary: bool,
    /// Whether a controller-manager must lead (default yes); without one there is no canary either.
    #[serde(default = "yes")]
    controllers: bool,
}

fn yes() -> bool {
    true
}

impl Declared for VerifyCluster {
    const NAME: &'static str = "verify_cluster";
    const OUTPUTS: &'static [&'static str] = &[
        "kube_system_uid",
        "kube_system_uid_expected",
        "leader",
        "old_admin",
        "canary",
        "endpoints",
        "taints",
        "nodes_back",
        "nodes_missing",
    ];
}

#[async_trait]
impl Action for VerifyCluster {
    fn texts(&self) -> Vec<&Text> {
        vec![&self.kubeconfig]
    }

    fn tunnels_to(&self, cx: &PlanContext<'_>) -> Option<Loopback> {
        Some(Loopback::port(cx.api_port()))
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let mut details = Vec::new();
        if cx.inventory.cluster.admin_kubeconfig.is_none() {
            details.push(
                "no `admin_kubeconfig` in the inventory: that old credentials work again is not tried".to_owned(),
            );
        }
        Description {
            summary: "prove that the API server is the cluster's, and that controllers work".to_owned(),
            details,
            touches: Vec::new(),
        }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "the canary namespace is deleted again" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let proof = Proof::open(self, cx).await?;
        proof.ready().await?;
        let mut outputs = Values::new();
        let mut say = |name: &str, value: String| drop(outputs.insert(name.to_owned(), value));
        let identity = proof.identity().await?;
        say("kube_system_uid", identity.found);
        if let Some(expected) = identity.expected {
            say("kube_system_uid_expected", expected);
        }
        say("old_admin", proof.old_admin().await?);
        let (leads, canary) = (self.controllers, self.controllers && self.canary);
        say("leader", if leads { proof.leader().await? } else { NOT_TRIED.to_owned() });
        say("canary", if canary { canary::prove(&proof).await? } else { NOT_TRIED.to_owned() });
        say("endpoints", endpoints::compare(&proof).await?);
        let nodes = nodes::compare(&proof).await?;
        say("taints", nodes.taints);
        say("nodes_back", nodes.back);
        say("nodes_missing", nodes.missing);
        Ok(Outcome::Done(outputs))
    }

    async fn verify(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::Took(Values::new()))
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }

    fn is_proof(&self) -> bool {
        true
    }
}

/// Which cluster is served, and which one it had to be: the snapshot's, else the one that the inventory pins.
struct Identity {
    found: String,
    expected: Option<String>,
}

/// The API server, as the new administrator.
#[derive(Debug)]
struct Proof<'a> {
    cx: &'a Context<'a>,
    api: ApiClient,
    port: u16,
    until: Instant,
}

impl<'a> Proof<'a> {
    async fn open(action: &VerifyCluster, cx: &'a Context<'a>) -> Result<Self, ActionError> {
        let until = Instant::now() + cx.limit;
        let (api, port) = api::open(cx, &action.kubeconfig, until).await?;
        Ok(Self { cx, api, port, until })
    }

    /// Certificates that our CA did not sign end the waiting: they do not get better.
    async fn ready(&self) -> Result<(), ActionError> {
        self.cx.tell.note("waiting for /readyz");
        wait(self.until, || async {
            match self.api.get_text("/readyz").await {
                Ok(_) => Ok(Seen::Yes(())),
                Err(error) if error.to_string().contains("invalid peer certificate") => Err(unexpected(
                    "the API server's certificate",
                    "one that the inventory's CA signed",
                    &error.to_string(),
                )),
                Err(error) => Ok(Seen::NotYet(error.to_string())),
            }
        })
        .await
    }

    /// Another cluster's data would be served just as well: the namespace's UID is the proof.
    async fn identity(&self) -> Result<Identity, ActionError> {
        let namespace = self.get("/api/v1/namespaces/kube-system").await?;
        let found = text_at(&namespace, "/metadata/uid");
        let claimed = self.cx.snapshot.claims.kube_system_uid.as_ref();
        let expected = claimed.or(self.cx.inventory.cluster.uid.as_ref()).cloned();
        match expected {
            Some(expected) if expected != found => {
                Err(unexpected("the UID of namespace kube-system", &expected, &found))
            }
            expected => Ok(Identity { found, expected }),
        }
    }

    async fn old_admin(&self) -> Result<String, ActionError> {
        let Some(path) = &self.cx.inventory.cluster.admin_kubeconfig else {
            return Ok(NOT_TRIED.to_owned());
        };
        self.cx.tell.note("trying the old admin credential");
        let text = tokio::fs::read(path).await.map_err(|error| failed("reading the old admin credential", &error))?;
        let text = Secret::new(text);
        let old = Credentials::read(&path.display().to_string(), text.expose())
            .map_err(|error| failed("reading the old admin credential", &error))?;
        let api = ApiClient::open(self.cx.target.transport(), self.port, &old, &old.ca)
            .await
            .map_err(|error| failed("connecting with the old admin credential", &error))?;
        api.get("/api/v1/namespaces/kube-system")
            .await
            .map_err(|error| failed("using the old admin credential", &error))?;
        Ok("accepted".to_owned())
    }

    /// The old leader's lease is in the snapshot: only a renewal that is seen to happen counts.
    async fn leader(&self) -> Result<String, ActionError> {
        self.cx.tell.note("waiting until a controller-manager leads");
        let path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager";
        let first = self.api.find(path).await.map_err(|error| failed("reading the leader's lease", &error))?;
        let before = first.as_ref().map(|lease| text_at(lease, "/spec/renewTime")).unwrap_or_default();
        wait(self.until, || async {
            match self.api.find(path).await {
                Ok(Some(lease)) if text_at(&lease, "/spec/renewTime") != before => {
                    Ok(Seen::Yes(text_at(&lease, "/spec/holderIdentity")))
                }
                Ok(_) => Ok(Seen::NotYet("no controller-manager has renewed its lease".to_owned())),
                Err(error) => Ok(Seen::NotYet(error.to_string())),
            }
        })
        .await
    }

    async fn get(&self, path: &str) -> Result<Value, ActionError> {
        self.api.get(path).await.map_err(|error| failed("asking the API server", &error))
    }
}
