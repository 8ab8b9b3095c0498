//! The way to the target's etcd: through SSH, with the target's own client certificate.

use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use tokio::time::Instant;

use super::{ActionError, Context};
use crate::engine::chain;
use crate::text::Text;
use crate::tunnel::Tunnel;

/// One request; a half-restored etcd never answers a write.
const LIMIT: Duration = Duration::from_secs(10);

/// Where etcd listens, and how it knows its clients.
#[derive(Debug)]
pub(super) struct Access<'a> {
    /// The client port on the target's loopback.
    pub(super) port: u16,
    /// Whether etcd speaks TLS; without it the files below are not read.
    pub(super) tls: bool,
    /// The CA of etcd's certificates, on the target.
    pub(super) ca: &'a Text,
    /// A client certificate, on the target.
    pub(super) certificate: &'a Text,
    /// Its key, on the target.
    pub(super) key: &'a Text,
}

/// An etcd that has answered.
pub(super) struct Etcd {
    /// What asks it.
    pub(super) client: Client,
    _tunnel: Tunnel,
}

impl Access<'_> {
    /// Tries until etcd answers or the step's limit passes: it may still be reading its data.
    pub(super) async fn open(&self, cx: &Context<'_>) -> Result<Etcd, ActionError> {
        let tunnel = Tunnel::open(cx.target.transport(), "127.0.0.1", self.port)
            .await
            .map_err(crate::target::TargetError::from)?;
        let begun = Instant::now();
        let scheme = if self.tls { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", tunnel.address());
        loop {
            let options = self.options(cx).await?;
            let tried = async {
                let mut client = Client::connect([&endpoint], Some(options)).await?;
                client.status().await.map(|_| client)
            };
            match tokio::time::timeout(LIMIT, tried).await {
                Ok(Ok(client)) => return Ok(Etcd { client, _tunnel: tunnel }),
                other if begun.elapsed() >= cx.limit => {
                    let reason = match other {
                        Ok(Err(error)) => chain(&error),
                        _ => format!("no answer within {LIMIT:?}"),
                    };
                    return Err(ActionError::Failed { what: "asking etcd for its status".to_owned(), reason });
                }
                _ => cx.tell.note("waiting for etcd to answer"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn options(&self, cx: &Context<'_>) -> Result<ConnectOptions, ActionError> {
        let options = ConnectOptions::new().with_connect_timeout(LIMIT).with_timeout(LIMIT);
        if !self.tls {
            return Ok(options);
        }
        let ca = cx.read_secret(&cx.fill(self.ca)?).await?;
        let certificate = cx.read_secret(&cx.fill(self.certificate)?).await?;
        let key = cx.read_secret(&cx.fill(self.key)?).await?;
        let identity = Identity::from_pem(certificate.expose(), key.expose());
        Ok(options.with_tls(TlsOptions::new().ca_certificate(Certificate::from_pem(ca.expose())).identity(identity)))
    }
}

/// The default of `port`: etcd's own.
pub(super) fn port() -> u16 {
    2379
}

/// The default of `tls`.
pub(super) fn tls() -> bool {
    true
}

/// The default of `ca`, as those below: kubeadm's.
pub(super) fn ca() -> Text {
    kubeadms("ca.crt")
}

/// The default of `certificate`.
pub(super) fn certificate() -> Text {
    kubeadms("healthcheck-client.crt")
}

/// The default of `key`.
pub(super) fn key() -> Text {
    kubeadms("healthcheck-client.key")
}

fn kubeadms(name: &str) -> Text {
    Text::plain(format!("/etc/kubernetes/pki/etcd/{name}"))
}

/// A request that etcd did not answer as asked.
pub(super) fn failed(what: &str, error: &etcd_client::Error) -> ActionError {
    ActionError::Failed { what: what.to_owned(), reason: chain(error) }
}
