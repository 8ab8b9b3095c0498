//! Which restore engine is taken on a host, and why the others are not.

use super::{ENGINES, RestoreEngine, Usable, minor};
use crate::inventory::Inventory;
use crate::target::Facts;

/// The engine that is taken, and why not the others.
#[derive(Debug)]
pub struct Choice {
    /// The engine and what of it is used; `None` when there is none that works.
    pub taken: Option<(&'static dyn RestoreEngine, Usable)>,
    /// Every other engine, with the reason against it.
    pub others: Vec<(&'static str, String)>,
    /// Whether the taken one has the minor version of the snapshot's etcd, as far as both are known.
    pub same_minor: Option<bool>,
}

/// Takes the engine that is asked for; else the first with the minor version of the snapshot's etcd; else the first.
pub fn choose(wanted: Option<&str>, facts: &Facts, inventory: &Inventory, etcd: Option<&str>) -> Choice {
    let is_same = |usable: &Usable| Some(minor(usable.version.as_deref()?)? == minor(etcd?)?);
    let mut usable = Vec::new();
    let mut others = Vec::new();
    for engine in ENGINES.iter().copied() {
        match engine.probe(facts, inventory, etcd) {
            Err(reason) => others.push((engine.name(), reason)),
            Ok(_) if wanted.is_some_and(|name| name != engine.name()) => {
                others.push((engine.name(), "the playbook asks for another".to_owned()));
            }
            Ok(found) => usable.push((engine, found)),
        }
    }
    let best = usable.iter().position(|(_, found)| is_same(found) == Some(true)).unwrap_or(0);
    let taken = (best < usable.len()).then(|| usable.remove(best));
    let same_minor = taken.as_ref().and_then(|(_, found)| is_same(found));
    for (engine, found) in usable {
        let version = found.version.as_deref().unwrap_or("of an unknown version");
        let reason = match (same_minor, is_same(&found)) {
            (Some(true), Some(false)) => format!("{version} is not the minor version of the snapshot's etcd"),
            _ => "another is preferred".to_owned(),
        };
        others.push((engine.name(), reason));
    }
    Choice { taken, others, same_minor }
}

impl Choice {
    /// The engine in words.
    pub fn in_words(&self) -> String {
        match &self.taken {
            Some((engine, found)) => match &found.version {
                Some(version) => format!("{} {version} ({})", engine.name(), found.program),
                None => format!("{} ({})", engine.name(), found.program),
            },
            None => "no restore engine".to_owned(),
        }
    }

    /// Why the others are not taken, each a line.
    pub fn against(&self) -> Vec<String> {
        self.others.iter().map(|(name, reason)| format!("not {name}: {reason}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::restore_engines::Restore;
    use crate::target::{Image, Tool};

    fn inventory(more: &str) -> Inventory {
        let text = format!(
            "[cluster]\nname = \"a\"\nendpoint = \"a:6443\"\n{more}\n[target]\nhost = \"h\"\n[[snapshots]]\n\
             folder.path = \"/b\"\n[pki]\ndir = \"/p\"\n"
        );
        crate::inventory::parse("test", &text, Path::new("/")).unwrap()
    }

    fn facts(tools: &[(&str, &str)], images: &[(&str, &str)]) -> Facts {
        let tool = |(name, version): &(&str, &str)| {
            let path = format!("/usr/bin/{name}");
            let found = Tool { path, version: Some((*version).to_owned()), restores: true, bumps: false };
            ((*name).to_owned(), found)
        };
        let image = |(engine, name): &(&str, &str)| Image { engine: (*engine).to_owned(), name: (*name).to_owned() };
        Facts { tools: tools.iter().map(tool).collect(), images: images.iter().map(image).collect(), ..Facts::bare() }
    }

    fn taken(wanted: Option<&str>, facts: &Facts, etcd: Option<&str>) -> String {
        choose(wanted, facts, &inventory(""), etcd).in_words()
    }

    const IMAGES: &[(&str, &str)] = &[
        ("containerd", "k8s.gcr.io/etcd:3.4.13-0"),
        ("containerd", "registry/etcd:3.5.12-0"),
        ("docker", "k8s.gcr.io/etcd:3.4.13-0"),
    ];

    #[test]
    fn the_snapshots_minor_version_wins_over_the_order() {
        let host = facts(&[("etcdutl", "3.5.9"), ("etcdctl", "3.4.23"), ("ctr", "1.6.20")], IMAGES);
        assert_eq!(taken(None, &host, None), "etcdutl 3.5.9 (/usr/bin/etcdutl)");
        assert_eq!(taken(None, &host, Some("3.4.0")), "etcdctl 3.4.23 (/usr/bin/etcdctl)");
        assert_eq!(taken(Some("containerd"), &host, Some("3.4.0")), "containerd 3.4.13-0 (k8s.gcr.io/etcd:3.4.13-0)");
        assert_eq!(
            taken(None, &facts(&[("ctr", "1")], IMAGES), Some("3.5.0")),
            "containerd 3.5.12-0 (registry/etcd:3.5.12-0)"
        );
        let choice = choose(None, &host, &inventory(""), Some("3.6.0"));
        assert_eq!((choice.in_words().as_str(), choice.same_minor), ("etcdutl 3.5.9 (/usr/bin/etcdutl)", Some(false)));
    }

    #[test]
    fn every_other_engine_has_its_reason() {
        let host = facts(&[("etcdctl", "3.6.1"), ("ctr", "1.6.20"), ("docker", "20.10.5")], &IMAGES[..1]);
        assert_eq!(
            choose(None, &host, &inventory(""), Some("3.4.0")).against(),
            [
                "not etcdutl: the target has no `etcdutl`",
                "not etcdctl: `etcdctl` restores up to 3.5 only",
                "not docker: `docker` has no image of etcd",
                "not podman: the target has no `podman`",
                "not uploaded: the inventory names no `etcdutl` to upload",
            ]
        );
        let none = choose(None, &facts(&[], &[]), &inventory("etcdutl = \"/no/such\""), None);
        assert_eq!(none.in_words(), "no restore engine");
        assert_eq!(
            none.against().last().map(String::as_str),
            Some("not uploaded: `/no/such` is not there on the controller")
        );
    }

    #[test]
    fn the_inventorys_image_is_the_only_one() {
        let host = facts(&[("docker", "20.10.5"), ("ctr", "1")], IMAGES);
        let named =
            |image: &str| choose(None, &host, &inventory(&format!("etcd_image = \"{image}\"")), None).in_words();
        assert_eq!(named("etcd:3.5.12-0"), "containerd 3.5.12-0 (registry/etcd:3.5.12-0)");
        assert_eq!(named("other/etcd:3.4"), "no restore engine");
    }

    #[test]
    fn containers_run_one_program_with_its_arguments() {
        let host = facts(&[("docker", "20"), ("ctr", "1")], IMAGES);
        let restore = Restore {
            snapshot: "/s/a b.db",
            stage: "/var/lib/x",
            name: "cp",
            peer_url: "https://10.0.0.1:2380",
            token: "t",
            bump: Some(7),
            uploaded: "/u",
            container: "c-1",
        };
        let command = |name: &str, etcd: &str| {
            let choice = choose(Some(name), &host, &inventory(""), Some(etcd));
            choice.taken.map(|(engine, usable)| engine.command(&usable, &restore)).unwrap()
        };
        let old = command("docker", "3.4.0");
        assert!(
            old.contains("--entrypoint=etcdctl 'k8s.gcr.io/etcd:3.4.13-0' 'snapshot' 'restore' '/s/a b.db'"),
            "{old}"
        );
        assert!(old.contains("--mount='type=bind,source=/s/a b.db,target=/s/a b.db,readonly'"), "{old}");
        assert!(!old.contains("--bump-revision"), "{old}");
        let new = command("containerd", "3.5.0");
        assert!(new.contains("'registry/etcd:3.5.12-0' 'c-1' etcdutl 'snapshot' 'restore'"), "{new}");
        assert!(new.ends_with("'--initial-cluster-token=t' '--bump-revision=7' '--mark-compacted'"), "{new}");
    }
}
