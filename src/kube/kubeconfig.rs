//! The credentials of a kubeconfig: a client certificate and the CA that it expects.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use thiserror::Error;

use crate::inventory::Secret;

/// A client certificate, its key, the CA and the server, as PEM.
#[derive(Debug)]
pub struct Credentials {
    /// The client's certificate.
    pub certificate: Vec<u8>,
    /// The client's key.
    pub key: Secret,
    /// The CA that the server's certificate is checked with.
    pub ca: Vec<u8>,
    /// The server's URL.
    pub server: String,
}

/// A kubeconfig without usable credentials.
#[derive(Debug, Error)]
#[error("the kubeconfig {name} cannot be used: {reason}")]
pub struct KubeconfigError {
    /// Which one.
    pub name: String,
    /// Why.
    pub reason: String,
}

#[derive(Deserialize)]
struct Kubeconfig {
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority_data: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

impl Credentials {
    /// Reads a kubeconfig with embedded certificates, as kubeadm writes them.
    pub fn read(name: &str, text: &[u8]) -> Result<Self, KubeconfigError> {
        let wrong = |reason: String| KubeconfigError { name: name.to_owned(), reason };
        let text = std::str::from_utf8(text).map_err(|error| wrong(error.to_string()))?;
        // The parser's message may quote the text, and the text holds a key.
        let config: Kubeconfig = serde_saphyr::from_str(text).map_err(|_| wrong("it is no kubeconfig".to_owned()))?;
        let cluster =
            config.clusters.into_iter().next().ok_or_else(|| wrong("it names no cluster".to_owned()))?.cluster;
        let user = config.users.into_iter().next().ok_or_else(|| wrong("it names no user".to_owned()))?.user;
        let decode = |what: &str, data: Option<String>| {
            let data = data.ok_or_else(|| wrong(format!("it has no `{what}`")))?;
            BASE64_STANDARD.decode(data.trim()).map_err(|_| wrong(format!("its `{what}` is not base64")))
        };
        Ok(Self {
            certificate: decode("client-certificate-data", user.client_certificate_data)?,
            key: Secret::new(decode("client-key-data", user.client_key_data)?),
            ca: decode("certificate-authority-data", cluster.certificate_authority_data)?,
            server: cluster.server,
        })
    }

    /// The server's port; where a load balancer is the server, the API server's own may be another.
    pub fn port(&self) -> u16 {
        let authority = self.server.trim_start_matches("https://").trim_end_matches('/');
        authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(443)
    }
}
