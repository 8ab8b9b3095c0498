//! Containers of an engine on the controller: Docker, Podman, or what takes their commands.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Isolation, Provider, ProviderError, Throwaway};
use crate::drill::link::Way;
use crate::drill::order::{Order, write_private};

/// A container; drctl must be root, and the engine on this machine.
///
/// It has no network but a loopback of its own. Its image needs a shell, an SSH server and what your playbook needs; what the
/// image would start is not started.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The engine's program: `docker`, `podman`, or the path of one.
    pub engine: String,
    /// The image.
    pub image: String,
}

/// Where its SSH server listens, on its own loopback.
const PORT: u16 = 22022;
/// What it is given, below the drill's folder, and where it finds that.
const GIVEN: &str = "container";
const WITHIN: &str = "/drctl-drill";
/// By this label it is found again.
const LABEL: &str = "drctl-drill";
/// Between two looks whether an engine is done, and how often that is looked for: it may be fetching an image.
const PAUSE: Duration = Duration::from_millis(50);
const LOOKS: u32 = 6000;

/// Its first process. A password that locks root would lock out keys as well, as long as PAM is not asked; and PAM refuses
/// sessions where it may not write the kernel's login uid.
const START: &str = r#"set -e
umask 077
mkdir -p /run/sshd /run/drctl-drill
chmod 755 /run/sshd
cp /drctl-drill/authorized_keys /drctl-drill/host_key /run/drctl-drill/
cat /drctl-drill/hosts >>/etc/hosts
sed -i 's/^root:![^:]*:/root:*:/' /etc/shadow || true
sshd=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v sshd) || { echo "there is no sshd in this image" >&2; exit 1; }
"$sshd" -D -e -f /drctl-drill/sshd_config &
wait $!
"#;

#[async_trait]
impl Provider for Container {
    fn label(&self) -> String {
        format!("{} container of {}", self.engine, self.image)
    }

    fn isolation(&self) -> Isolation {
        Isolation::Promised("a container whose only network is its own loopback".to_owned())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn create(&self, order: &Order) -> Result<Throwaway, ProviderError> {
        if !rustix::process::geteuid().is_root() {
            return Err(ProviderError::new(
                "enter a container's network",
                "that is for root: run drctl as root, or use another provider",
            ));
        }
        give(order).map_err(|error| ProviderError::new("write what the container is given", error))?;
        let label = label(order);
        let mount = format!("type=bind,source={},target={WITHIN},readonly", order.dir.join(GIVEN).display());
        let (name, start) = (name(order), format!("{WITHIN}/start"));
        let mut words = vec!["create", "--name", &name, "--label", &label, "--hostname", &order.hostname];
        // A kernel that labels files would refuse it the folder.
        words.extend(["--network", "none", "--mount", &mount, "--security-opt", "label=disable"]);
        words.extend(["--entrypoint", "/bin/sh", &self.image, &start]);
        self.engine(&words, "make a container").await?;
        self.engine(&["start", &name], "start the container").await?;
        let pid = self.engine(&["inspect", "--format", "{{.State.Pid}}", &name], "look at the container").await?;
        let pid = String::from_utf8_lossy(&pid).trim().to_owned();
        // The number may be of another machine, where the engine really runs; or its process has ended already.
        let seen = std::fs::read_to_string(format!("/proc/{pid}/root{WITHIN}/id"));
        if !seen.is_ok_and(|id| id == order.id) {
            let reason =
                "its process is not on this machine: the engine runs elsewhere, or the container ended at once";
            return Err(ProviderError::new("find the container", reason));
        }
        let network = PathBuf::from(format!("/proc/{pid}/ns/net"));
        for address in &order.addresses {
            let mut add = tokio::process::Command::new("nsenter");
            add.arg(format!("--net={}", network.display())).args([
                "ip",
                "address",
                "add",
                &address.to_string(),
                "dev",
                "lo",
            ]);
            super::ended_well(add.stdin(Stdio::null()), "give the container its address").await?;
        }
        Ok(Throwaway {
            way: Way::Namespace { network, port: PORT },
            user: "root".to_owned(),
            host_key: order.host_key.clone(),
        })
    }

    /// To the target it would be the same boot as before, and no power cut.
    async fn reboot(&self, _: &Order) -> Option<Result<(), ProviderError>> {
        None
    }

    async fn destroy(&self, order: &Order) -> Result<(), ProviderError> {
        let given = order.dir.join(GIVEN);
        if !given.exists() {
            return Ok(());
        }
        let label = label(order);
        is_made(&label).await?;
        let filter = format!("label={label}");
        let found = self.engine(&["ps", "--all", "--quiet", "--filter", &filter], "look for the container").await?;
        for id in String::from_utf8_lossy(&found).split_whitespace() {
            self.engine(&["rm", "--force", "--volumes", id], "remove the container").await?;
        }
        std::fs::remove_dir_all(&given).map_err(|error| ProviderError::new(format!("remove `{GIVEN}`"), error))
    }

    fn console(&self, order: &Order) -> Option<String> {
        let mut logs = std::process::Command::new(&self.engine);
        let logs = logs.args(["logs", &name(order)]).stdin(Stdio::null()).output().ok()?;
        super::last_lines(&String::from_utf8_lossy(&[logs.stdout, logs.stderr].concat()))
    }
}

impl Container {
    async fn engine(&self, words: &[&str], what: &str) -> Result<Vec<u8>, ProviderError> {
        let mut command = tokio::process::Command::new(&self.engine);
        let output = command.args(words).stdin(Stdio::null()).output().await;
        let output = output.map_err(|error| ProviderError::new(what, format!("`{}`: {error}", self.engine)))?;
        super::of_output(output, what)
    }
}

/// A drctl that was killed may have left an engine that is about to make a container.
async fn is_made(label: &str) -> Result<(), ProviderError> {
    let failed = |reason: String| ProviderError::new("look for the container", reason);
    for _ in 0..LOOKS {
        let making = super::started_with(|words| words.windows(2).any(|pair| pair == [b"--label", label.as_bytes()]));
        if making.map_err(|error| failed(error.to_string()))?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(failed(format!("the engine is still making it, after {}s", (PAUSE * LOOKS).as_secs())))
}

fn label(order: &Order) -> String {
    format!("{LABEL}={}", order.id)
}

fn name(order: &Order) -> String {
    format!("drctl-drill-{}", order.id)
}

fn give(order: &Order) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = order.dir.join(GIVEN);
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let hosts: String = order.names.iter().map(|(name, address)| format!("{address} {name}\n")).collect();
    let server = format!(
        "ListenAddress 127.0.0.1:{PORT}\nHostKey /run/drctl-drill/host_key\nPidFile none\n\
         AuthorizedKeysFile /run/drctl-drill/authorized_keys\nPermitRootLogin prohibit-password\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\nMaxSessions 64\n"
    );
    let files = [
        ("id", order.id.clone()),
        ("authorized_keys", format!("{}\n", order.public_key)),
        ("host_key", std::fs::read_to_string(order.host_key_file())?),
        ("hosts", hosts),
        ("sshd_config", server),
        ("start", START.to_owned()),
    ];
    for (name, text) in files {
        write_private(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}
