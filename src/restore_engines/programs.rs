//! Programs of the host itself, or brought to it.

use super::{Restore, RestoreEngine, Usable, minor};
use crate::inventory::Inventory;
use crate::target::{Facts, quote};

/// `etcdutl` on the host.
#[derive(Debug)]
pub(super) struct Etcdutl;

/// `etcdctl` on the host, as long as it restores: up to 3.5.
#[derive(Debug)]
pub(super) struct Etcdctl;

/// The controller's own `etcdutl`, uploaded.
#[derive(Debug)]
pub(super) struct Uploaded;

fn on_host(name: &str, facts: &Facts) -> Result<Usable, String> {
    let tool = facts.tools.get(name).ok_or_else(|| format!("the target has no `{name}`"))?;
    if !tool.restores {
        let version = tool.version.as_deref().unwrap_or("of an unknown version");
        return Err(format!("`{name}` {version} has no `snapshot restore`"));
    }
    Ok(Usable { program: tool.path.clone(), version: tool.version.clone(), bumps: tool.bumps })
}

fn run(usable: &Usable, restore: &Restore<'_>) -> String {
    format!("ETCDCTL_API=3 {} {}", quote(&usable.program), restore.arguments(usable.bumps))
}

impl RestoreEngine for Etcdutl {
    fn name(&self) -> &'static str {
        "etcdutl"
    }

    fn probe(&self, facts: &Facts, _: &Inventory, _: Option<&str>) -> Result<Usable, String> {
        on_host("etcdutl", facts)
    }

    fn command(&self, usable: &Usable, restore: &Restore<'_>) -> String {
        run(usable, restore)
    }
}

impl RestoreEngine for Etcdctl {
    fn name(&self) -> &'static str {
        "etcdctl"
    }

    fn probe(&self, facts: &Facts, _: &Inventory, _: Option<&str>) -> Result<Usable, String> {
        let usable = on_host("etcdctl", facts)?;
        match usable.version.as_deref().and_then(minor) {
            Some(version) if version >= (3, 6) => Err("`etcdctl` restores up to 3.5 only".to_owned()),
            _ => Ok(usable),
        }
    }

    fn command(&self, usable: &Usable, restore: &Restore<'_>) -> String {
        run(usable, restore)
    }
}

impl RestoreEngine for Uploaded {
    fn name(&self) -> &'static str {
        "uploaded"
    }

    fn probe(&self, _: &Facts, inventory: &Inventory, _: Option<&str>) -> Result<Usable, String> {
        let Some(path) = &inventory.cluster.etcdutl else {
            return Err("the inventory names no `etcdutl` to upload".to_owned());
        };
        if !path.is_file() {
            return Err(format!("`{}` is not there on the controller", path.display()));
        }
        Ok(Usable { program: path.display().to_string(), version: None, bumps: false })
    }

    /// What it can do is found out where it runs.
    fn command(&self, _: &Usable, restore: &Restore<'_>) -> String {
        let tool = quote(restore.uploaded);
        let (plain, bumped) = (restore.arguments(false), restore.arguments(true));
        format!(
            "case $({tool} snapshot restore --help 2>&1) in\n*--bump-revision*) {tool} {bumped} ;;\n*) {tool} {plain} ;;\nesac"
        )
    }
}
