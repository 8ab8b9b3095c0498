//! What a file of kubeadm's configuration says, as far as it decides what becomes of restored data.

use serde::Deserialize;

use crate::kube::API_PORT;

/// kubeadm's configuration documents, read together. What is unset is kubeadm's to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Documents {
    /// Each document's version and kind.
    pub(super) heads: Vec<(String, String)>,
    /// `kubernetesVersion`.
    pub(super) kubernetes_version: Option<String>,
    /// `nodeRegistration.name`.
    pub(super) node_name: Option<String>,
    /// `localAPIEndpoint.advertiseAddress`.
    pub(super) advertise_address: Option<String>,
    /// `localAPIEndpoint.bindPort`.
    pub(super) bind_port: Option<u16>,
    /// `certificatesDir`.
    pub(super) certificates_dir: Option<String>,
    /// `etcd.local.dataDir`.
    pub(super) etcd_data_dir: Option<String>,
    /// `etcd.external.endpoints`; of any number, when there is such a section.
    pub(super) external_etcd: Option<Vec<String>>,
}

/// What the documents' kinds hold; each has only its own part of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Document {
    api_version: String,
    kind: String,
    kubernetes_version: Option<String>,
    certificates_dir: Option<String>,
    node_registration: NodeRegistration,
    #[serde(rename = "localAPIEndpoint")]
    local_api_endpoint: LocalApiEndpoint,
    etcd: Etcd,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeRegistration {
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LocalApiEndpoint {
    advertise_address: Option<String>,
    bind_port: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Etcd {
    local: Option<LocalEtcd>,
    external: Option<ExternalEtcd>,
    /// Before 1.12.
    data_dir: Option<String>,
    /// Before 1.12.
    endpoints: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LocalEtcd {
    data_dir: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ExternalEtcd {
    endpoints: Vec<String>,
}

impl Documents {
    /// Reads a file. Whether kubeadm takes it is kubeadm's to say.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut read = Self::default();
        let documents = text.split("\n---").map(|document| document.trim_start_matches("---"));
        for text in documents.filter(|document| !document.trim().is_empty()) {
            let document: Document =
                serde_saphyr::from_str(text).map_err(|error| format!("not kubeadm's configuration: {error}"))?;
            if document.api_version.is_empty() || document.kind.is_empty() {
                return Err("a document without `apiVersion` and `kind`".to_owned());
            }
            read.take(document);
        }
        Ok(read)
    }

    fn take(&mut self, document: Document) {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        self.heads.push((document.api_version, document.kind));
        self.kubernetes_version = said(document.kubernetes_version).or(self.kubernetes_version.take());
        self.node_name = said(document.node_registration.name).or(self.node_name.take());
        self.advertise_address = said(document.local_api_endpoint.advertise_address).or(self.advertise_address.take());
        self.bind_port = document.local_api_endpoint.bind_port.filter(|port| *port != 0).or(self.bind_port);
        self.certificates_dir = said(document.certificates_dir).or(self.certificates_dir.take());
        let etcd = document.etcd;
        let data_dir = said(etcd.local.and_then(|local| local.data_dir)).or(said(etcd.data_dir));
        self.etcd_data_dir = data_dir.or(self.etcd_data_dir.take());
        let endpoints = Some(etcd.endpoints).filter(|endpoints| !endpoints.is_empty());
        let external = etcd.external.map(|etcd| etcd.endpoints).or(endpoints);
        self.external_etcd = external.or(self.external_etcd.take());
    }

    /// The port that the API server will listen on: without an `InitConfiguration` the one that it had `before`, which is added.
    pub(super) fn api_port(&self, before: Option<u16>) -> u16 {
        let said = if self.has("InitConfiguration") { self.bind_port } else { before };
        said.unwrap_or(API_PORT)
    }

    /// Whether there is a document of this kind.
    pub(super) fn has(&self, kind: &str) -> bool {
        self.heads.iter().any(|(_, known)| known == kind)
    }

    /// The version of kubeadm's own documents.
    pub(super) fn version(&self) -> Option<&str> {
        let kubeadms = self.heads.iter().find(|(version, _)| version.starts_with("kubeadm.k8s.io/"));
        kubeadms.map(|(version, _)| version.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_together() {
        let text = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nkubernetesVersion: v1.28.3\n\
                    certificatesDir: /etc/kubernetes/ssl\netcd:\n  local:\n    dataDir: /data\n\
                    ---\napiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\nnodeRegistration:\n  name: cp-1\n\
                    localAPIEndpoint:\n  advertiseAddress: 10.0.0.1\n  bindPort: 8443\n---\napiVersion: kubelet.config.k8s.io/v1beta1\n\
                    kind: KubeletConfiguration\n";
        let read = Documents::read(text).unwrap();
        assert_eq!(read.version(), Some("kubeadm.k8s.io/v1beta3"));
        assert!(read.has("InitConfiguration") && read.has("KubeletConfiguration") && !read.has("JoinConfiguration"));
        assert_eq!(read.kubernetes_version.as_deref(), Some("v1.28.3"));
        assert_eq!((read.node_name.as_deref(), read.advertise_address.as_deref()), (Some("cp-1"), Some("10.0.0.1")));
        assert_eq!(read.bind_port, Some(8443));
        assert_eq!(read.certificates_dir.as_deref(), Some("/etc/kubernetes/ssl"));
        assert_eq!(read.etcd_data_dir.as_deref(), Some("/data"));
        assert_eq!(read.external_etcd, None);
    }

    #[test]
    fn the_port_is_the_init_configurations_else_the_one_before() {
        let of = |yaml: &str, before| {
            Documents::read(&format!("apiVersion: kubeadm.k8s.io/v1beta3\n{yaml}")).unwrap().api_port(before)
        };
        let init = "kind: InitConfiguration\nlocalAPIEndpoint:\n  bindPort: ";
        assert_eq!(of(&format!("{init}7443\n"), Some(8443)), 7443);
        assert_eq!(of(&format!("{init}0\n"), Some(8443)), 6443, "kubeadm's own");
        assert_eq!(of("kind: InitConfiguration\n", Some(8443)), 6443, "kubeadm's own");
        assert_eq!(of("kind: ClusterConfiguration\n", Some(8443)), 8443, "which is added");
        assert_eq!(of("kind: ClusterConfiguration\n", None), 6443);
    }

    #[test]
    fn etcd_may_be_elsewhere() {
        let external = |etcd: &str| {
            let text = format!("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\netcd:\n{etcd}");
            Documents::read(&text).unwrap().external_etcd
        };
        let endpoints = Some(vec!["https://10.0.0.7:2379".to_owned()]);
        assert_eq!(external("  external:\n    endpoints: [\"https://10.0.0.7:2379\"]\n"), endpoints);
        assert_eq!(external("  endpoints: [\"https://10.0.0.7:2379\"]\n"), endpoints);
        assert_eq!(external("  local: {}\n"), None);
    }

    #[test]
    fn other_texts_are_refused() {
        assert!(Documents::read("just text").is_err());
        assert!(Documents::read("kind: ClusterConfiguration\n").is_err());
    }
}
