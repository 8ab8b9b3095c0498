//! Commands of the user's own: a cloud's, a hypervisor's, Terraform. JSON in on standard input, JSON out.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::{Isolation, Provider, ProviderError, Throwaway};
use crate::drill::link::Way;
use crate::drill::order::{Order, write_private};
use crate::inventory::Span;

/// Targets that commands on the controller make and take away.
///
/// Each is given the order as one JSON object; `create` prints where the target's SSH server is. `destroy` is given what
/// `create` printed, too, and must bear that `create` was interrupted before it printed anything.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program that makes a target, and its arguments.
    pub create: Vec<String>,
    /// The program that takes it away.
    pub destroy: Vec<String>,
    /// The program that cuts its power and starts it again, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot: Option<Vec<String>>,
    /// How long each of them may take, and a target until SSH answers (default `15m`).
    #[serde(default = "quarter", skip_serializing_if = "is_quarter")]
    pub timeout: Span,
}

fn quarter() -> Span {
    Span::from_secs(15 * 60)
}

fn is_quarter(span: &Span) -> bool {
    *span == quarter()
}

/// What `create` prints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Created {
    host: String,
    #[serde(default = "ssh")]
    port: u16,
    #[serde(default = "root")]
    user: String,
    host_key: Option<String>,
}

fn ssh() -> u16 {
    22
}

fn root() -> String {
    "root".to_owned()
}

/// What `create` printed, for `destroy`.
const CREATED: &str = "created.json";

#[async_trait]
impl Provider for Command {
    fn label(&self) -> String {
        format!("`{}`", self.create.join(" "))
    }

    fn isolation(&self) -> Isolation {
        Isolation::Unknown
    }

    fn patience(&self) -> Duration {
        self.timeout.duration()
    }

    async fn create(&self, order: &Order) -> Result<Throwaway, ProviderError> {
        let said = self.run(&self.create, order).await?;
        write_private(&order.dir.join(CREATED), &said)
            .map_err(|error| ProviderError::new(format!("keep `{CREATED}`"), error))?;
        let created: Created = serde_json::from_slice(&said).map_err(|error| {
            let said = String::from_utf8_lossy(&said);
            let expected = r#"{"host": "192.0.2.7", "port": 22, "user": "root", "host_key": "SHA256:…"}"#;
            ProviderError::new(
                format!("read what `{}` printed", self.create.join(" ")),
                format!("{error}; expected `{expected}`, found `{}`", said.trim()),
            )
        })?;
        Ok(Throwaway {
            way: Way::Tcp { host: created.host, port: created.port },
            user: created.user,
            host_key: created.host_key.unwrap_or_else(|| order.host_key.clone()),
        })
    }

    async fn reboot(&self, order: &Order) -> Option<Result<(), ProviderError>> {
        let command = self.reboot.as_ref()?;
        Some(self.run(command, order).await.map(drop))
    }

    async fn destroy(&self, order: &Order) -> Result<(), ProviderError> {
        self.run(&self.destroy, order).await.map(drop)
    }

    fn console(&self, _: &Order) -> Option<String> {
        None
    }
}

impl Command {
    async fn run(&self, words: &[String], order: &Order) -> Result<Vec<u8>, ProviderError> {
        let what = format!("run `{}`", words.join(" "));
        let failed = |reason: String| ProviderError::new(what.clone(), reason);
        let program = words.first().ok_or_else(|| failed("it is empty".to_owned()))?;
        let mut child = tokio::process::Command::new(program)
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let given = asked(order).to_string();
        if let Some(mut stdin) = child.stdin.take() {
            // A command may do its work without reading.
            drop(stdin.write_all(given.as_bytes()).await);
        }
        let ended = tokio::time::timeout(self.timeout.duration(), child.wait_with_output()).await;
        let output = ended
            .map_err(|_| failed(format!("it did not end within {}", self.timeout)))?
            .map_err(|error| failed(error.to_string()))?;
        super::of_output(output, &what)
    }
}

/// The order as a command reads it. Private keys are named by their files alone.
fn asked(order: &Order) -> serde_json::Value {
    let created = std::fs::read(order.dir.join(CREATED)).ok();
    let created: Option<serde_json::Value> = created.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    json!({
        "id": order.id,
        "cluster": order.cluster,
        "hostname": order.hostname,
        "addresses": order.addresses,
        "names": order.names,
        "public_key": order.public_key,
        "host_key": order.host_key,
        "host_key_file": order.host_key_file(),
        "folder": order.dir,
        "created": created,
    })
}
