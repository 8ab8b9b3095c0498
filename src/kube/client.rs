//! Requests to the API server through a tunnel.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use serde_json::Value;
use thiserror::Error;

use super::Credentials;
use crate::actions::Context;
use crate::engine::chain;
use crate::inventory::Secret;
use crate::transport::Transport;
use crate::tunnel::Tunnel;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(10);
/// A name that every API server's certificate carries, whatever its addresses are.
pub(super) const NAME: &str = "kubernetes";

/// A request that was not answered as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The server could not be reached, or its certificate is not signed by the CA.
    #[error("could not ask the API server: {reason}")]
    Unreachable {
        /// What failed, with its causes.
        reason: String,
    },
    /// The server refused.
    #[error("the API server answered {status} to {method} {path}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// The method.
        method: &'static str,
        /// The path.
        path: String,
        /// What it said.
        message: String,
    },
    /// Certificates or keys cannot be used.
    #[error("could not use {what}: {reason}")]
    Credentials {
        /// Which.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// The API server of the target.
#[derive(Debug)]
pub struct ApiClient {
    http: reqwest::Client,
    base: String,
    _tunnel: Tunnel,
}

impl ApiClient {
    /// Connects as the owner of `credentials` to a port of the target, trusting only certificates signed by `ca`.
    pub async fn open(
        transport: Arc<dyn Transport>,
        port: u16,
        credentials: &Credentials,
        ca: &[u8],
    ) -> Result<Self, ApiError> {
        let tunnel = Tunnel::open(transport, "127.0.0.1", port).await.map_err(unreachable)?;
        let tls = tls(ca, credentials)?;
        let http = client(tls, NAME, &tunnel)?;
        Ok(Self { http, base: format!("https://{NAME}:{}", tunnel.address().port()), _tunnel: tunnel })
    }

    /// The answer of a `GET`, as text.
    pub async fn get_text(&self, path: &str) -> Result<String, ApiError> {
        self.send("GET", path, self.http.get(self.url(path))).await
    }

    /// An object.
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        parse(&self.get_text(path).await?)
    }

    /// An object, or nothing when there is none.
    pub async fn find(&self, path: &str) -> Result<Option<Value>, ApiError> {
        match self.get(path).await {
            Ok(object) => Ok(Some(object)),
            Err(ApiError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an object; one that is there already is taken as created.
    pub async fn create(&self, path: &str, object: &Value) -> Result<(), ApiError> {
        match self.send("POST", path, self.http.post(self.url(path)).json(object)).await {
            Ok(_) | Err(ApiError::Refused { status: 409, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes an object; one that is gone already is taken as deleted.
    pub async fn delete(&self, path: &str) -> Result<(), ApiError> {
        match self.send("DELETE", path, self.http.delete(self.url(path))).await {
            Ok(_) | Err(ApiError::Refused { status: 404 | 409, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(
        &self,
        method: &'static str,
        path: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<String, ApiError> {
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.text().await.map_err(unreachable)?;
        if status.is_success() {
            return Ok(body);
        }
        let said = parse(&body).ok().and_then(|status| Some(status.get("message")?.as_str()?.to_owned()));
        let message = said.unwrap_or_else(|| body.chars().take(200).collect());
        Err(ApiError::Refused { status: status.as_u16(), method, path: path.to_owned(), message })
    }
}

/// The cluster's CA as the inventory has it.
pub async fn root_ca(cx: &Context<'_>) -> Result<Secret, String> {
    let file = cx.pki.get("ca.crt").ok_or("the inventory names no `ca.crt`")?;
    file.source.read().await.map_err(|error| chain(&error))
}

/// A client that finds `name` at the tunnel's end.
pub(super) fn client(tls: ClientConfig, name: &str, tunnel: &Tunnel) -> Result<reqwest::Client, ApiError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .resolve(name, tunnel.address())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LIMIT)
        .build()
        .map_err(|error| ApiError::Credentials { what: "the TLS configuration", reason: chain(&error) })
}

fn tls(ca: &[u8], credentials: &Credentials) -> Result<ClientConfig, ApiError> {
    let builder = builder()?.with_root_certificates(roots(ca)?);
    let chain = CertificateDer::pem_slice_iter(&credentials.certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong("the client certificate", error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(credentials.key.expose())
        .map_err(|error| wrong("the client key", error.to_string()))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| wrong("the client certificate", error.to_string()))
}

pub(super) fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, ApiError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS", error.to_string()))
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM file, as what others are signed by.
pub(super) fn roots(ca: &[u8]) -> Result<RootCertStore, ApiError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        let certificate = certificate.map_err(|error| wrong("the CA's certificate", error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong("the CA's certificate", error.to_string()))?;
    }
    Ok(roots)
}

pub(super) fn wrong(what: &'static str, reason: String) -> ApiError {
    ApiError::Credentials { what, reason }
}

fn parse(body: &str) -> Result<Value, ApiError> {
    serde_json::from_str(body)
        .map_err(|error| ApiError::Unreachable { reason: format!("its answer is no JSON: {error}") })
}

fn unreachable(error: impl std::error::Error) -> ApiError {
    ApiError::Unreachable { reason: chain(&error) }
}
