//! Programs in an image that is on the host already. Newer images of etcd have no shell: what runs
//! in them is one program with its arguments.

use super::{Restore, RestoreEngine, Usable, bumps, minor};
use crate::inventory::Inventory;
use crate::target::{Facts, quote};

/// `docker run`.
#[derive(Debug)]
pub(super) struct Docker;

/// `ctr run`, among the images of Kubernetes.
#[derive(Debug)]
pub(super) struct Containerd;

/// `podman run`.
#[derive(Debug)]
pub(super) struct Podman;

/// An image of etcd that the engine has: the inventory's, else one of the snapshot's minor version.
fn image(tool: &str, engine: &str, facts: &Facts, inventory: &Inventory, etcd: Option<&str>) -> Result<Usable, String> {
    if !facts.tools.contains_key(tool) {
        return Err(format!("the target has no `{tool}`"));
    }
    let there: Vec<&str> =
        facts.images.iter().filter(|image| image.engine == engine).map(|image| image.name.as_str()).collect();
    if let Some(named) = &inventory.cluster.etcd_image {
        return match there.iter().find(|image| same_image(image, named)) {
            Some(image) => Ok(usable(image)),
            None => Err(format!("`{tool}` has no image `{named}`")),
        };
    }
    let etcd = etcd.and_then(minor);
    let mut fitting = there.iter().filter(|image| minor(tag(image)).is_some()).copied().collect::<Vec<_>>();
    fitting.sort_by_key(|image| (minor(tag(image)) != etcd, std::cmp::Reverse(*image)));
    fitting.first().map(|image| usable(image)).ok_or_else(|| format!("`{tool}` has no image of etcd"))
}

/// Equal names; engines add what their users leave out.
fn same_image(there: &str, named: &str) -> bool {
    there == named || there.strip_suffix(named).is_some_and(|prefix| prefix.ends_with('/'))
}

fn tag(image: &str) -> &str {
    image.rsplit_once(':').map_or("", |(_, tag)| tag)
}

fn usable(image: &str) -> Usable {
    let version = tag(image).trim_start_matches('v');
    let known = minor(version).is_some();
    Usable { program: image.to_owned(), version: known.then(|| version.to_owned()), bumps: bumps(version) }
}

/// The program of an image that restores.
fn entry(usable: &Usable) -> &'static str {
    match usable.version.as_deref().and_then(minor) {
        Some(version) if version < (3, 5) => "etcdctl",
        _ => "etcdutl",
    }
}

/// The command line that `docker` and `podman` share.
fn run(program: &str, usable: &Usable, restore: &Restore<'_>) -> String {
    let bind = |path: &str, more: &str| quote(format!("type=bind,source={path},target={path}{more}"));
    format!(
        "{program} run --rm --network=none --name={} --env=ETCDCTL_API=3 --mount={} --mount={} --entrypoint={} {} {}",
        quote(restore.container),
        bind(restore.snapshot, ",readonly"),
        bind(restore.stage, ""),
        entry(usable),
        quote(&usable.program),
        restore.arguments(usable.bumps),
    )
}

impl RestoreEngine for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn probe(&self, facts: &Facts, inventory: &Inventory, etcd: Option<&str>) -> Result<Usable, String> {
        image("docker", "docker", facts, inventory, etcd)
    }

    fn command(&self, usable: &Usable, restore: &Restore<'_>) -> String {
        run("docker", usable, restore)
    }
}

impl RestoreEngine for Containerd {
    fn name(&self) -> &'static str {
        "containerd"
    }

    fn probe(&self, facts: &Facts, inventory: &Inventory, etcd: Option<&str>) -> Result<Usable, String> {
        image("ctr", "containerd", facts, inventory, etcd)
    }

    fn command(&self, usable: &Usable, restore: &Restore<'_>) -> String {
        let bind = |path: &str, rights: &str| quote(format!("type=bind,src={path},dst={path},options=rbind:{rights}"));
        format!(
            "ctr -n k8s.io run --rm --env ETCDCTL_API=3 --mount {} --mount {} {} {} {} {}",
            bind(restore.snapshot, "ro"),
            bind(restore.stage, "rw"),
            quote(&usable.program),
            quote(restore.container),
            entry(usable),
            restore.arguments(usable.bumps),
        )
    }
}

impl RestoreEngine for Podman {
    fn name(&self) -> &'static str {
        "podman"
    }

    fn probe(&self, facts: &Facts, inventory: &Inventory, etcd: Option<&str>) -> Result<Usable, String> {
        image("podman", "podman", facts, inventory, etcd)
    }

    fn command(&self, usable: &Usable, restore: &Restore<'_>) -> String {
        run("podman", usable, restore)
    }
}
