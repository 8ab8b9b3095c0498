//! The way to the target's API server: through SSH, as the new administrator, trusting the inventory's CA alone.

use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{ActionError, Context};
use crate::engine::chain;
use crate::kube::{ApiClient, ApiError, Credentials, MANIFEST, root_ca, secure_port};
use crate::text::Text;

/// Between two looks at something that is still coming up.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// Where kubeadm puts the new administrator's credentials.
pub(super) fn admin_conf() -> Text {
    Text::plain("/etc/kubernetes/admin.conf".to_owned())
}

/// A manifest is a few kilobytes.
const MANIFEST_LIMIT: usize = 256 << 10;

/// The port that the target's API server listens on, when kubeadm has written what starts it.
pub(super) async fn port(cx: &Context<'_>) -> Result<Option<u16>, ActionError> {
    let manifest = cx.target.read_file(MANIFEST, MANIFEST_LIMIT).await?;
    Ok(manifest.and_then(|manifest| secure_port(&String::from_utf8_lossy(&manifest))))
}

/// An API server that could be connected to, and its port.
pub(super) async fn open(cx: &Context<'_>, kubeconfig: &Text, until: Instant) -> Result<(ApiClient, u16), ActionError> {
    let path = cx.fill(kubeconfig)?;
    let text = cx.read_secret(&path).await?;
    let admin =
        Credentials::read(&path, text.expose()).map_err(|error| failed("reading the new credentials", &error))?;
    // The inventory's CA, not the kubeconfig's: a new CA would vouch for itself.
    let ca = root_ca(cx).await.map_err(|reason| ActionError::Failed { what: "reading the CA".to_owned(), reason })?;
    let port = port(cx).await?.unwrap_or_else(|| admin.port());
    let opened = wait(until, || async {
        match ApiClient::open(cx.target.transport(), port, &admin, ca.expose()).await {
            Ok(api) => Ok(Seen::Yes(api)),
            Err(error @ ApiError::Unreachable { .. }) => Ok(Seen::NotYet(error.to_string())),
            Err(error) => Err(failed("connecting to the API server", &error)),
        }
    });
    let api = opened.await?;
    Ok((api, port))
}

/// What a look at something that comes up has seen.
pub(super) enum Seen<T> {
    Yes(T),
    NotYet(String),
}

/// Looks again and again until it is there; the last look's reason is the error.
pub(super) async fn wait<T, F>(until: Instant, mut look: impl FnMut() -> F) -> Result<T, ActionError>
where
    F: Future<Output = Result<Seen<T>, ActionError>>,
{
    loop {
        match look().await? {
            Seen::Yes(found) => return Ok(found),
            Seen::NotYet(reason) if Instant::now() >= until => {
                return Err(ActionError::Failed { what: "waiting for the control plane".to_owned(), reason });
            }
            Seen::NotYet(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

pub(super) fn text_at(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn failed(what: &str, error: &dyn std::error::Error) -> ActionError {
    ActionError::Failed { what: what.to_owned(), reason: chain(error) }
}

pub(super) fn unexpected(what: &str, expected: &str, found: &str) -> ActionError {
    ActionError::Unexpected { what: what.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}
