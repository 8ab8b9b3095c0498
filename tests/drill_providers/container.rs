//! Containers of a real Podman, with a store of images of its own.

use std::fmt::Write as _;
use std::process::{Command, Output, Stdio};

use super::site::{Site, sh, write_inventory};
use super::support::Lab;
use super::{begun, folders, journal_has, kill, sweep, until};

/// Podman, and its images and containers below the lab's folder.
struct Engine {
    site: Site,
    program: String,
}

impl Engine {
    fn new() -> Self {
        let lab = Lab::new();
        lab.lab(&["hub", "true"]);
        let folder = lab.dir.path().display().to_string();
        let storage = lab.write(
            "storage.conf",
            format!("[storage]\ndriver = \"overlay\"\ngraphroot = \"{folder}/images\"\nrunroot = \"{folder}/run\"\n"),
        );
        // More files than the machine allows would be asked for.
        let limits = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n[engine]\n\
                      cgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
        let containers = lab.write("containers.conf", limits);
        let mut script = String::from("#!/bin/sh\n");
        writeln!(script, "CONTAINERS_STORAGE_CONF={storage} CONTAINERS_CONF={containers} exec podman \"$@\"")
            .expect("a string grows");
        let program = lab.write("podman", script);
        let root = format!("{}/root", lab.lab(&["path", "root-light"]));
        let import = sh(&format!(
            "set -e; chmod 755 {program}
             tar -C {root} --transform 's,^./opt/etcd-3.5/,./usr/local/bin/,' -c . | {program} import -q - localhost/drill-target"
        ));
        assert!(!import.is_empty(), "podman imports an image");
        let provider =
            format!("[drill.provider.container]\nengine = \"{program}\"\nimage = \"localhost/drill-target\"\n");
        let inventory = write_inventory(&lab, &provider);
        Self { site: Site { lab, inventory }, program }
    }

    fn podman(&self, args: &[&str]) -> Output {
        Command::new(&self.program).args(args).stdin(Stdio::null()).output().expect("podman can be run")
    }

    fn containers(&self) -> String {
        String::from_utf8_lossy(&self.podman(&["ps", "--all", "--quiet"]).stdout).into_owned()
    }

    #[track_caller]
    fn leaves_nothing(&self) {
        assert_eq!(self.containers(), "");
        assert!(folders(&self.site).iter().all(|folder| !folder.join("container").exists()));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.site.lab.drctl(&["drill", "sweep"]));
        self.podman(&["rmi", "--all", "--force"]);
        sh(&format!("umount {}/images/overlay", self.site.lab.dir.path().display()));
    }
}

#[test]
fn a_container_is_restored_onto_taken_away_and_swept() {
    let engine = Engine::new();
    let site = &engine.site;
    let evidence = site.drill(&["--keep"], 0);
    assert_eq!(evidence["verdict"]["outcome"], "passed", "{evidence:#}");
    assert_eq!(evidence["drill"]["level"], "data");
    let id = engine.containers();
    let inside = |script: &str| {
        String::from_utf8_lossy(&engine.podman(&["exec", id.trim(), "sh", "-c", script]).stdout).into_owned()
    };
    assert_eq!(inside("hostname; ip -o link | wc -l"), "master\n1\n", "it has a loopback and nothing else");
    assert!(inside("ip -o address").contains("inet 10.77.0.10/32"));
    sweep(site);
    engine.leaves_nothing();

    site.drill(&[], 0);
    engine.leaves_nothing();

    for folder in folders(site) {
        std::fs::remove_dir_all(folder).expect("a drill that is over");
    }
    let mut drctl = begun(site);
    until("a container", &mut drctl, || !engine.containers().is_empty());
    kill(drctl);
    sweep(site);
    engine.leaves_nothing();

    let mut drctl = begun(site);
    until("restore-etcd", &mut drctl, || journal_has(site, "restore-etcd\",\"attempt"));
    kill(drctl);
    assert_ne!(engine.containers(), "");
    sweep(site);
    engine.leaves_nothing();
}
