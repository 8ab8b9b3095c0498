//! `kubeadm init` on the restored data.

mod check;
mod config;
mod documents;
mod versions;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::command::end_in_words;
use super::control_plane::Node;
use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::kube::{API_PORT, secure_port};
use crate::snapshot::{Claims, ComponentConfiguration};
use crate::target::{APPLY, Job, KUBELET_BEFORE, Keep, Owner, Payload, Place, quote};
use crate::text::{Text, Values};
pub(crate) use config::api_port;
use config::{Component, Config, Origin, components};

/// Runs `kubeadm init` with the cluster's own configuration, as a job that outlives the connection.
///
/// The configuration is the inventory's, else the one that the snapshot holds, else kubeadm's
/// defaults; node name, address, port and the taints that the node had are added to it, and to the
/// snapshot's the configurations of the kubelet and kube-proxy that the snapshot holds. What an older
/// life left of leaf certificates, kubeconfigs and manifests is cleared first, the kubelet's client
/// certificates among them; what was there is kept.
///
/// ```toml
/// [[step]]
/// name = "kubeadm-init"
/// action = "kubeadm_init"
/// timeout = "20m"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KubeadmInit {
    /// Preflight checks that may fail (default only `DirAvailable--var-lib-etcd`: the data is there on purpose).
    #[serde(default = "data_is_there")]
    ignore_preflight_errors: Vec<String>,
    /// Further arguments of `kubeadm init`.
    #[serde(default)]
    extra_args: Vec<Text>,
    /// Whether the configuration in the snapshot is used when the inventory gives none (default yes).
    #[serde(default = "yes")]
    config_from_snapshot: bool,
    /// Whether controller-manager and scheduler are started (default yes). Without them nothing acts on the restored data.
    #[serde(default = "yes")]
    controllers: bool,
}

/// What starts them.
const CONTROLLERS: [&str; 2] = ["control-plane/controller-manager", "control-plane/scheduler"];
/// What waits for both of them as well, from this version of kubeadm on; later phases wait for the API server themselves.
const WAITS_FOR_CONTROLLERS: ((u32, u32), &str) = ((1, 33), "wait-control-plane");
/// What would bring back a kube-proxy to a cluster that works without.
const KUBE_PROXY: &str = "addon/kube-proxy";

fn data_is_there() -> Vec<String> {
    vec!["DirAvailable--var-lib-etcd".to_owned()]
}

fn yes() -> bool {
    true
}

impl Declared for KubeadmInit {
    const NAME: &'static str = "kubeadm_init";
    const OUTPUTS: &'static [&'static str] = &["node_name", "config", "api_port"];
}

#[async_trait]
impl Action for KubeadmInit {
    fn texts(&self) -> Vec<&Text> {
        self.extra_args.iter().collect()
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let node = Node::planned(cx);
        let claims = cx.snapshot.map(|chosen| &chosen.claims);
        let origin = Origin::of(cx.inventory, claims.and_then(|claims| self.held(claims)));
        let from = match origin {
            Origin::Inventory => "the inventory's configuration",
            Origin::Snapshot => "the configuration that the snapshot holds",
            Origin::Defaults => "kubeadm's defaults: what the restored cluster was configured with is overwritten",
        };
        let mut details = vec![format!("with {from}")];
        details.extend(components(origin, claims).into_iter().filter_map(|(whose, said)| otherwise(whose, said)));
        if !self.controllers {
            details.push("without controller-manager and scheduler".to_owned());
        }
        if let Some(node) = node {
            details.push(format!("as node {} at {}", node.name, node.address));
        }
        details.extend(port_in_words(cx.api_port(), claims.and_then(|claims| claims.api_port)));
        Description {
            summary: format!("run `kubeadm init --ignore-preflight-errors={}`", self.ignore_preflight_errors.join(",")),
            details,
            touches: vec!["/etc/kubernetes".to_owned(), "/var/lib/kubelet".to_owned(), "/var/lib/etcd".to_owned()],
        }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        let kept = ["/etc/kubernetes", "/var/lib/kubelet"];
        // kubeadm writes, and old certificates are removed, through links that an owner made of these.
        let linked =
            ["/etc/kubernetes/manifests", "/etc/kubernetes/pki", "/etc/kubernetes/pki/etcd", "/var/lib/kubelet/pki"];
        let leads = kept.iter().chain(&linked).map(|path| Keep::linked(*path));
        Ok(SetAside::Paths(kept.iter().map(|path| Keep::copied(*path)).chain(leads).collect()))
    }

    async fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        if cx.facts.is_some() && Node::planned(cx).is_none() {
            return vec![Finding::error(
                "no-address",
                "the target has no address that etcd and the API server could advertise",
                "set `advertise_address` in the inventory's `[cluster]`",
            )];
        }
        self.judge(cx).await
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let node = node(cx)?;
        let local = |reason: String| ActionError::Local { what: "read kubeadm's configuration".to_owned(), reason };
        let claims = &cx.snapshot.claims;
        let config = Config::of(cx.inventory, self.held(claims), Some(cx.facts)).map_err(local)?;
        let config = config.complete(&node, Some(claims), cx.facts, self.controllers);
        let place = Place { to: format!("{}/kubeadm.yaml", cx.target.run_folder()), mode: 0o600, owner: Owner::root() };
        cx.target.place(Payload::Bytes(config.text.as_bytes()), &place, &|_, _| ()).await?;
        let command = self.script(cx, &place.to, config.origin)?;
        let job =
            Job { step: cx.step, attempt: cx.attempt, part: APPLY, command: &command, limit: cx.limit, again: false };
        let end = cx.target.job(job, &|line| cx.tell.output(line), cx.stop).await?;
        end_in_words(cx, "`kubeadm init`", end)?;
        let outputs = [("node_name", node.name), ("config", config.origin.word().to_owned())];
        Ok(Outcome::Done(outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
    }

    async fn verify(&self, cx: &Context<'_>) -> Result<Verdict, ActionError> {
        let script = format!("controllers={}\n{}", self.controllers, include_str!("verify.sh"));
        let reply = cx.target.look(&script).await?;
        let said = String::from_utf8_lossy(&reply.stdout);
        if reply.status == 0 {
            let port = secure_port(&said).unwrap_or(API_PORT);
            return Ok(Verdict::Took(Values::from([("api_port".to_owned(), port.to_string())])));
        }
        Ok(Verdict::DidNot { reason: said.trim().to_owned() })
    }

    /// Files alone don't tell that kubeadm came to its end: without its exit status it is undone and begun again.
    async fn settle(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::DidNot { reason: "kubeadm did not come to its end".to_owned() })
    }

    /// Not `kubeadm reset`: that empties the PKI and the etcd data of earlier steps, and of the owner.
    async fn undo(&self, cx: &Context<'_>) -> Result<(), ActionError> {
        self.undo_part(cx, "undo", include_str!("undo.sh")).await?;
        // The kubelet must find the files as they were when it is started again.
        cx.target.put_back(cx.step).await?;
        self.undo_part(cx, "undo-kubelet", include_str!("undo_kubelet.sh")).await
    }
}

impl KubeadmInit {
    /// The configuration that the snapshot holds, if it is to be used.
    fn held<'a>(&self, claims: &'a Claims) -> Option<&'a String> {
        claims.configuration.as_ref().filter(|_| self.config_from_snapshot)
    }

    /// The phases of `kubeadm init` that would start what the cluster has not, or is not to have.
    fn skipped(&self, origin: Origin, claims: &Claims, kubeadm: Option<(u32, u32)>) -> Vec<&'static str> {
        let mut phases = Vec::new();
        if !self.controllers {
            let (since, waiting) = WAITS_FOR_CONTROLLERS;
            phases.extend(CONTROLLERS);
            phases.extend(Some(waiting).filter(|_| kubeadm >= Some(since)));
        }
        if components(origin, Some(claims)).contains(&(Component::KubeProxy, &ComponentConfiguration::Absent)) {
            phases.push(KUBE_PROXY);
        }
        phases
    }

    fn script(&self, cx: &Context<'_>, config: &str, origin: Origin) -> Result<String, ActionError> {
        let mut arguments = format!(
            "--config {} --skip-token-print --ignore-preflight-errors={}",
            quote(config),
            quote(self.ignore_preflight_errors.join(","))
        );
        let skipped = self.skipped(origin, &cx.snapshot.claims, versions::of_kubeadm(cx.facts));
        if !skipped.is_empty() {
            arguments.push_str(&format!(" --skip-phases={}", skipped.join(",")));
        }
        for text in &self.extra_args {
            arguments.push(' ');
            arguments.push_str(&quote(cx.fill(text)?));
        }
        let before = quote(before(cx));
        Ok(format!("before={before}\n{}exec kubeadm init {arguments}\n", include_str!("begin.sh")))
    }

    async fn undo_part(&self, cx: &Context<'_>, part: &str, script: &str) -> Result<(), ActionError> {
        let command = format!("before={}\n{script}", quote(before(cx)));
        let job = Job { step: cx.step, attempt: cx.attempt, part, command: &command, limit: cx.limit, again: true };
        let end = cx.target.job(job, &|line| cx.tell.output(line), cx.stop).await?;
        end_in_words(cx, "undoing `kubeadm init`", end)
    }
}

/// Where the API server will listen, when that is not where everybody looks for it.
fn port_in_words(port: u16, before: Option<u16>) -> Option<String> {
    match before {
        Some(before) if before != port => {
            Some(format!("with the API server on port {port}; the snapshot's listened on {before}"))
        }
        Some(_) if port != API_PORT => Some(format!("with the API server on port {port}, as the snapshot has it")),
        None if port != API_PORT => Some(format!("with the API server on port {port}, as the inventory has it")),
        _ => None,
    }
}

/// How a component will be other than a configuration in the snapshot would make it.
fn otherwise(whose: Component, said: &ComponentConfiguration) -> Option<String> {
    let name = match whose {
        Component::Kubelet => "the kubelet",
        Component::KubeProxy => "kube-proxy",
    };
    let why = match said {
        ComponentConfiguration::Yaml(_) => return None,
        ComponentConfiguration::Absent if whose == Component::KubeProxy => {
            return Some("without kube-proxy: the snapshot holds no configuration of it".to_owned());
        }
        ComponentConfiguration::Absent => "the snapshot holds none",
        ComponentConfiguration::Unknown => "the snapshot's cannot be read",
    };
    Some(format!("with kubeadm's default configuration of {name}, which overwrites the cluster's: {why}"))
}

/// What the host's kubelet and pods were before the first attempt.
fn before(cx: &Context<'_>) -> String {
    format!("{}/{KUBELET_BEFORE}", cx.target.run_folder())
}

fn node(cx: &Context<'_>) -> Result<Node, ActionError> {
    Node::of(cx.inventory, cx.facts).ok_or_else(|| ActionError::Unexpected {
        what: "the target's address".to_owned(),
        expected: "one that the API server could advertise".to_owned(),
        found: "none".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(parameters: &str) -> KubeadmInit {
        toml::from_str(parameters).unwrap()
    }

    fn claims(kube_proxy_configuration: ComponentConfiguration) -> Claims {
        Claims { kube_proxy_configuration, ..Claims::default() }
    }

    #[test]
    fn kube_proxy_does_not_come_to_a_cluster_without_it() {
        let of = |said, origin| action("").skipped(origin, &claims(said), None);
        let yaml = ComponentConfiguration::Yaml("mode: ipvs".to_owned());
        assert_eq!(of(ComponentConfiguration::Absent, Origin::Snapshot), ["addon/kube-proxy"]);
        for (said, origin) in [
            (yaml, Origin::Snapshot),
            (ComponentConfiguration::Unknown, Origin::Snapshot),
            (ComponentConfiguration::Absent, Origin::Inventory),
            (ComponentConfiguration::Absent, Origin::Defaults),
        ] {
            assert!(of(said.clone(), origin).is_empty(), "{said:?} {origin:?}");
        }
    }

    #[test]
    fn the_plan_tells_an_unusual_port_and_another_than_before() {
        let of = |port, before| port_in_words(port, before).unwrap_or_default();
        assert_eq!(of(8443, Some(8443)), "with the API server on port 8443, as the snapshot has it");
        assert_eq!(of(8443, None), "with the API server on port 8443, as the inventory has it");
        assert_eq!(of(6443, Some(8443)), "with the API server on port 6443; the snapshot's listened on 8443");
        assert_eq!((of(6443, Some(6443)), of(6443, None)), (String::new(), String::new()));
    }

    #[test]
    fn nobody_waits_for_controllers_that_are_held_back() {
        let of = |kubeadm| {
            let claims = claims(ComponentConfiguration::Absent);
            action("controllers = false").skipped(Origin::Snapshot, &claims, Some(kubeadm)).join(",")
        };
        let both = "control-plane/controller-manager,control-plane/scheduler";
        assert_eq!(of((1, 32)), format!("{both},addon/kube-proxy"));
        assert_eq!(of((1, 33)), format!("{both},wait-control-plane,addon/kube-proxy"));
    }

    #[test]
    fn the_plan_tells_what_is_not_the_clusters_own() {
        let of = |whose, said: ComponentConfiguration| otherwise(whose, &said).unwrap_or_default();
        assert_eq!(of(Component::Kubelet, ComponentConfiguration::Yaml(String::new())), "");
        assert_eq!(
            of(Component::KubeProxy, ComponentConfiguration::Absent),
            "without kube-proxy: the snapshot holds no configuration of it"
        );
        assert_eq!(
            of(Component::Kubelet, ComponentConfiguration::Unknown),
            "with kubeadm's default configuration of the kubelet, which overwrites the cluster's: the snapshot's cannot be read"
        );
    }
}
