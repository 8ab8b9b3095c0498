//! Namespaces of the controller itself: network, mount, pid, uts, ipc and cgroup, over an overlay of a root folder.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::root::{self, Debootstrap};
use super::{Isolation, Provider, ProviderError, Throwaway};
use crate::drill::link::Way;
use crate::drill::order::{Order, write_private};

/// A target of namespaces; drctl must be root.
///
/// The root folder is never written to: an overlay takes all changes. It needs an SSH server, what your playbook needs,
/// and for the level `control-plane` systemd, a container runtime, kubelet, kubeadm and the images.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// The root folder of a Linux system, or a tarball of one, which is unpacked once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// The same of a distribution's packages, made once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debootstrap: Option<Debootstrap>,
    /// Folders of the controller that each target gets a copy of, by their path there: an image store, which cannot lie on an
    /// overlay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub copies: BTreeMap<String, PathBuf>,
}

const SCRIPT: &str = include_str!("namespace.sh");
/// Where its SSH server listens, on its own loopback, beside one that its system may start.
const PORT: u16 = 22022;

#[async_trait]
impl Provider for Namespace {
    fn label(&self) -> String {
        match (&self.root, &self.debootstrap) {
            (Some(root), _) => format!("namespaces over {}", root.display()),
            (None, Some(debootstrap)) => format!("namespaces over {}", debootstrap.suite),
            (None, None) => "namespaces".to_owned(),
        }
    }

    fn isolation(&self) -> Isolation {
        Isolation::Promised("a network namespace whose only cable ends in itself".to_owned())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn create(&self, order: &Order) -> Result<Throwaway, ProviderError> {
        let root = self.root_folder(order).await?;
        let files = [
            ("namespace.sh", SCRIPT.to_owned()),
            ("env", self.described(order, &root)),
            ("authorized_keys", format!("{}\n", order.public_key)),
        ];
        for (name, text) in files {
            write_private(&order.dir.join(name), text.as_bytes())
                .map_err(|error| ProviderError::new(format!("write `{name}`"), error))?;
        }
        std::fs::copy(order.host_key_file(), order.dir.join("host_key"))
            .map_err(|error| ProviderError::new("copy the host key", error))?;
        script(order, "up").await?;
        Ok(Throwaway {
            way: Way::Namespace { network: order.dir.join("network"), port: PORT },
            user: "root".to_owned(),
            host_key: order.host_key.clone(),
        })
    }

    async fn reboot(&self, order: &Order) -> Option<Result<(), ProviderError>> {
        Some(script(order, "reboot").await)
    }

    async fn destroy(&self, order: &Order) -> Result<(), ProviderError> {
        if !order.dir.join("env").exists() {
            return Ok(());
        }
        script(order, "down").await
    }

    fn console(&self, order: &Order) -> Option<String> {
        let text = std::fs::read(order.dir.join("console.log")).ok()?;
        super::last_lines(&String::from_utf8_lossy(&text))
    }
}

impl Namespace {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.root.iter_mut().chain(self.copies.values_mut()).collect()
    }

    /// What the script reads, a line each.
    fn described(&self, order: &Order, root: &Path) -> String {
        let mut text = format!(
            "root={}\nhostname={}\nport={PORT}\ngroup=drctl-drill-{}\n",
            root.display(),
            order.hostname,
            order.id
        );
        let mut say = |key: &str, value: &dyn std::fmt::Display| text.push_str(&format!("{key}={value}\n"));
        for address in &order.addresses {
            say("address", &format!("{address}/{}", if address.is_ipv4() { 24 } else { 64 }));
        }
        if let Some(gateway) = order.addresses.first().and_then(|address| beside(*address, &order.addresses)) {
            say("gateway", &gateway);
        }
        for (name, address) in &order.names {
            say("hosts", &format!("{address} {name}"));
        }
        for (to, from) in &self.copies {
            say("copy", &format!("{}\t{to}", from.display()));
        }
        text
    }

    async fn root_folder(&self, order: &Order) -> Result<PathBuf, ProviderError> {
        match (&self.root, &self.debootstrap) {
            (Some(root), None) => root::of_path(root, order).await,
            (None, Some(debootstrap)) => debootstrap.folder(order).await,
            _ => {
                Err(ProviderError::new("make the namespaces", "exactly one of `root` and `debootstrap` must be given"))
            }
        }
    }
}

/// An address of the same network that the target does not have.
fn beside(address: IpAddr, taken: &[IpAddr]) -> Option<IpAddr> {
    (1..=250_u8).map(|last| with_last(address, last)).find(|gateway| !taken.contains(gateway))
}

fn with_last(address: IpAddr, last: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            IpAddr::from([a, b, c, last])
        }
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[15] = last;
            IpAddr::from(octets)
        }
    }
}

async fn script(order: &Order, what: &str) -> Result<(), ProviderError> {
    let mut command = tokio::process::Command::new("sh");
    command.arg(order.dir.join("namespace.sh")).arg(what).arg(&order.dir).stdin(Stdio::null());
    super::ended_well(&mut command, &format!("bring the namespaces {what}")).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_a_neighbour_that_nobody_is() {
        let beside = |address: &str| beside(address.parse().unwrap(), &[address.parse().unwrap()]).unwrap().to_string();
        assert_eq!(beside("10.0.0.10"), "10.0.0.1");
        assert_eq!(beside("10.0.0.1"), "10.0.0.2");
        assert_eq!(beside("fd00::10"), "fd00::1");
    }
}
