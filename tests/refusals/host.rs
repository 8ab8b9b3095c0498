//! The target itself, and the control plane that was lost.

use insta::assert_snapshot;

use crate::site::Site;
use crate::support::{ADDRESS, Host, Lab};

/// Listens on a TCP port of a host until the host goes.
fn listen(host: &Host<'_>, port: u16) {
    host.sh(&format!(
        "nohup python3 -c 'import socket, time; s = socket.create_server((\"\", {port})); time.sleep(600)' \
         </dev/null >/dev/null 2>&1 & \
         while ! grep -q ':{port:04X} ' /proc/net/tcp; do sleep 0.05; done"
    ));
}

#[test]
fn no_program_that_restores() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &["--etcd", "none"]);
    let site = Site::new(&lab, &host);
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn nothing_that_makes_a_control_plane() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.playbook = include_str!("../../playbooks/restore.toml").to_owned();
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn too_small_a_disk() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &["--disk", "64M"]);
    let site = Site::new(&lab, &host);
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn ports_that_are_taken() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    listen(&host, 2379);
    listen(&host, 10250);
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn an_old_control_plane_that_answers() {
    let lab = Lab::new();
    let host = lab.host("target", "light", "10.77.0.11", &[]);
    let old = lab.host("old", "light", ADDRESS, &[]);
    listen(&old, 6443);
    let site = Site::new(&lab, &host);
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn a_clock_that_is_wrong() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    host.sh("printf '#!/bin/sh\\nexec /bin/date -d \"2 hours ago\" \"$@\"\\n' >/usr/local/bin/date; chmod 755 /usr/local/bin/date");
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn a_target_that_another_run_holds() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    let whole = site.playbook.clone();
    site.playbook = format!("name = \"fails\"\n\n[[step]]\nname = \"fail\"\naction = \"command\"\nrun = \"false\"\n");
    site.run().expect(4);
    site.playbook = whole;
    assert_snapshot!(site.refusal(6), @"");
    site.arg("--take-over=nobodys");
    assert_snapshot!(site.refusal(6), @"");
}

#[test]
fn a_folder_of_drctl_that_is_not_its_own() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    host.sh("mkdir -m 777 /var/lib/drctl");
    assert_snapshot!(site.refusal(3), @"");
}
