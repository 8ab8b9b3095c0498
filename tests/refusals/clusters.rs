//! Clusters that never were: a real etcd's snapshots, holding what a control plane would have written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::Lab;
use crate::support::bed::Origin;

/// What its snapshot shows.
pub(crate) struct Cluster {
    pub(crate) uid: &'static str,
    pub(crate) name: &'static str,
    /// `host:port`.
    pub(crate) endpoint: String,
    pub(crate) ca: String,
    /// How long before now its leader was last alive.
    pub(crate) silent_for: SignedDuration,
}

impl Cluster {
    /// The cluster of the backup, but for what a test changes.
    pub(crate) fn like(ca: &str) -> Self {
        Self {
            uid: "0c6a2f1e-93a4-4f5e-8a3a-6e1f0f3d2b11",
            name: "kubernetes",
            endpoint: format!("{}:6443", crate::support::ADDRESS),
            ca: ca.to_owned(),
            silent_for: SignedDuration::ZERO,
        }
    }

    /// A snapshot that was saved just now; `[[snapshots]]` of an inventory.
    pub(crate) fn saved(&self, lab: &Lab) -> String {
        let renewed = (Timestamp::now() - self.silent_for).to_string();
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: \"\"\n  cluster:\n    server: https://{}\n    \
             certificate-authority-data: {}\n",
            self.endpoint,
            STANDARD.encode(&self.ca)
        );
        let configuration = format!(
            "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\nclusterName: {}\nkubernetesVersion: v1.20.2\n",
            self.name
        );
        let objects = [
            put(
                "namespaces/kube-system",
                &json!({"kind": "Namespace", "metadata": {"name": "kube-system", "uid": self.uid}}),
            ),
            config_map("kube-public", "cluster-info", &json!({ "kubeconfig": kubeconfig })),
            config_map("kube-system", "kubeadm-config", &json!({ "ClusterConfiguration": configuration })),
            put(
                "leases/kube-system/kube-controller-manager",
                &json!({
                    "kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": {"name": "kube-controller-manager"},
                    "spec": {"renewTime": renewed},
                }),
            ),
        ];
        Origin::new(lab, "3.4", &objects.join("\n")).source()
    }
}

fn config_map(namespace: &str, name: &str, data: &Value) -> String {
    let map = json!({"kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data});
    put(&format!("configmaps/{namespace}/{name}"), &map)
}

/// `etcdctl put` of an object, as the API server keeps it when it is told to keep JSON.
fn put(path: &str, object: &Value) -> String {
    let mut object = object.clone();
    if object.get("apiVersion").is_none() {
        object["apiVersion"] = json!("v1");
    }
    format!("etcdctl put /registry/{path} '{object}'")
}
