//! What kubeadm was told when the cluster was made, and what it tells nodes that join.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// kubeadm's configuration of the cluster, as the snapshot holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ClusterConfiguration {
    /// The document itself, to be given to `kubeadm init --config`.
    pub yaml: String,
    /// `ClusterConfiguration`, or `MasterConfiguration` before Kubernetes 1.12.
    pub kind: String,
    /// Its format's version, such as `kubeadm.k8s.io/v1beta2`.
    pub api_version: String,
    /// Such as `v1.20.2`.
    pub kubernetes_version: Option<String>,
    /// The cluster's name.
    pub cluster_name: Option<String>,
    /// Where nodes and clients reach the control plane, when it has a name of its own.
    pub control_plane_endpoint: Option<String>,
    /// The pods' network.
    pub pod_subnet: Option<String>,
    /// The services' network.
    pub service_subnet: Option<String>,
    /// The services' domain.
    pub dns_domain: Option<String>,
    /// Names and addresses that the API server's certificate also has.
    pub cert_sans: Vec<String>,
    /// Where etcd keeps its data.
    pub etcd_data_dir: Option<String>,
}

/// What kubeadm keeps in the cluster of the kubelet's or kube-proxy's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentConfiguration {
    /// Nobody can tell: it cannot be read, or was not looked for.
    #[default]
    Unknown,
    /// There is none.
    Absent,
    /// The document, as YAML.
    Yaml(String),
}

/// The documents under which kubeadm kept it, newest first.
pub(super) const KINDS: [&str; 2] = ["ClusterConfiguration", "MasterConfiguration"];

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Document {
    kind: String,
    api_version: String,
    kubernetes_version: Option<String>,
    cluster_name: Option<String>,
    control_plane_endpoint: Option<String>,
    networking: Networking,
    api_server: ApiServer,
    /// Before 1.12.
    api: Api,
    #[serde(rename = "apiServerCertSANs")]
    api_server_cert_sans: Vec<String>,
    etcd: Etcd,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Networking {
    pod_subnet: Option<String>,
    service_subnet: Option<String>,
    dns_domain: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ApiServer {
    #[serde(rename = "certSANs")]
    cert_sans: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Api {
    control_plane_endpoint: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Etcd {
    local: LocalEtcd,
    /// Before 1.12.
    data_dir: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LocalEtcd {
    data_dir: Option<String>,
}

impl ComponentConfiguration {
    /// Takes a document of a kind, as kubeadm takes it.
    pub(super) fn parse(kind: &str, yaml: &str) -> Result<Self, String> {
        let head: Document = serde_saphyr::from_str(yaml).map_err(|error| error.without_snippet().to_string())?;
        if head.kind == kind && !head.api_version.is_empty() {
            return Ok(Self::Yaml(yaml.to_owned()));
        }
        Err(format!("holds no {kind}, but `{}` of `{}`", head.kind, head.api_version))
    }
}

impl ClusterConfiguration {
    pub(super) fn parse(yaml: &str) -> Result<Self, String> {
        let document: Document = serde_saphyr::from_str(yaml).map_err(|error| error.without_snippet().to_string())?;
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self {
            yaml: yaml.to_owned(),
            kind: document.kind,
            api_version: document.api_version,
            kubernetes_version: said(document.kubernetes_version),
            cluster_name: said(document.cluster_name),
            control_plane_endpoint: said(document.control_plane_endpoint)
                .or_else(|| said(document.api.control_plane_endpoint)),
            pod_subnet: said(document.networking.pod_subnet),
            service_subnet: said(document.networking.service_subnet),
            dns_domain: said(document.networking.dns_domain),
            cert_sans: [document.api_server.cert_sans, document.api_server_cert_sans].concat(),
            etcd_data_dir: said(document.etcd.local.data_dir).or_else(|| said(document.etcd.data_dir)),
        })
    }
}

/// The kubeconfig in `kube-public/cluster-info`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Kubeconfig {
    pub clusters: Vec<NamedCluster>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NamedCluster {
    pub cluster: Cluster,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub server: String,
    pub certificate_authority_data: String,
}

impl Kubeconfig {
    pub(super) fn parse(yaml: &str) -> Result<Self, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.without_snippet().to_string())
    }
}
