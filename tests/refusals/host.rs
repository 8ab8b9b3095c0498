//! The target itself, and the control plane that was lost.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use insta::assert_snapshot;

use crate::site::{Site, with_hosts};
use crate::support::{ADDRESS, Host, Lab, Ran};

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
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR step `restore-etcd`: no program on the target restores a snapshot [restore-engine]
              not etcdutl: the target has no `etcdutl`
              not etcdctl: the target has no `etcdctl`
              not docker: the target has no `docker`
              not containerd: the target has no `ctr`
              not podman: the target has no `podman`
              not uploaded: the inventory names no `etcdutl` to upload
            -> install etcdutl or etcdctl on the target, load an etcd image there, or name an `etcdutl` in the inventory
    error: 1 error; the target was not touched: restore-engine
      help: what to do is said with each of them
    "#);
}

#[test]
fn nothing_that_makes_a_control_plane() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.playbook = include_str!("../../playbooks/restore.toml").to_owned();
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR the target has no `kubeadm` in its PATH [no-kubeadm]
            -> install kubeadm and kubelet of the cluster's version on the target
      ERROR the target has no `kubelet` in its PATH [no-kubelet]
            -> install the kubelet of the cluster's version on the target
    error: 2 errors; the target was not touched: no-kubeadm, no-kubelet
      help: what to do is said with each of them
    "#);
}

#[test]
fn too_small_a_disk() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &["--disk", "64M"]);
    let site = Site::new(&lab, &host);
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR /var/lib/drctl and /var/lib/etcd need 194 MiB, [n] MiB are free [disk-too-small]
            -> free space on the target, or give it a larger disk: the copy, the restored data and etcd's log must all fit
    error: 1 error; the target was not touched: disk-too-small
      help: what to do is said with each of them
            to go on in spite of it: `--accept disk-too-small`
    "#);
}

#[test]
fn ports_that_are_taken() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    listen(&host, 2379);
    listen(&host, 10250);
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR the target's ports must be free, but something listens on 2379 (etcd clients), 10250 (kubelet) [ports-taken]
            -> `ss -ltnp` on the target shows what: stop it (a kubelet and its containers?), or take a fresh host
    error: 1 error; the target was not touched: ports-taken
      help: what to do is said with each of them
            to go on in spite of it: `--accept ports-taken`
    "#);
}

#[test]
fn an_old_control_plane_that_answers() {
    let lab = Lab::new();
    let host = lab.host("target", "light", "10.77.0.11", &[]);
    let old = lab.host("old", "light", ADDRESS, &[]);
    listen(&old, 6443);
    let mut site = Site::new(&lab, &host);
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR something answers at 10.77.0.10:6443: the control plane is not dead, or its address is taken [old-control-plane-answers]
            -> a restore now would make a second control plane with the same CA: switch the old one off (see `[fencing]`), then run again
      warn  the control-plane endpoint is 10.77.0.10, the target has 10.77.0.11 [endpoint-elsewhere]
            -> nodes and clients keep asking the old address: move it to the target, or point the load balancer at the target
    error: 1 error; the target was not touched: old-control-plane-answers
      help: what to do is said with each of them
            to go on in spite of it: `--accept old-control-plane-answers`
    "#);
    // A load balancer with nothing behind it: who knows that says so once, for the whole run.
    for arg in ["--accept", "old-control-plane-answers"] {
        site.arg(arg);
    }
    let told = site.run().expect(0).stderr;
    assert!(told.contains("something answers at 10.77.0.10:6443, as was accepted when the run began"), "{told}");
}

#[test]
fn a_clock_that_is_wrong() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    host.sh("printf '#!/bin/sh\\nexec /bin/date -d \"2 hours ago\" \"$@\"\\n' >/usr/local/bin/date; chmod 755 /usr/local/bin/date");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR the target's clock is [a while] behind this one's; up to 30s is allowed [clock-skew]
            -> certificates and leases depend on the time: set the clock that is wrong, then run again
    error: 1 error; the target was not touched: clock-skew
      help: what to do is said with each of them
            to go on in spite of it: `--accept clock-skew`
    "#);
}

#[test]
fn a_target_that_another_run_holds() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    let whole = site.playbook.clone();
    site.playbook = "name = \"fails\"\n\n[[step]]\nname = \"fail\"\naction = \"command\"\nrun = \"false\"\n".to_owned();
    site.run().expect(4);
    site.playbook = whole;
    assert_snapshot!(site.refusal(6), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR run [run] of [controller] holds the target: it is stopped part way (last sign of life [a while] ago) [target-held]
            -> `drctl resume [run]` or `drctl rollback [run]` on that controller; if it is lost for ever, `--take-over [run]` here
    error: 1 error; the target was not touched: target-held
      help: what to do is said with each of them
    "#);
    site.arg("--take-over=nobodys");
    assert_snapshot!(site.refusal(6), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR run [run] of [controller] holds the target: it is stopped part way (last sign of life [a while] ago) [target-held]
            -> `drctl resume [run]` or `drctl rollback [run]` on that controller; if it is lost for ever, `--take-over [run]` here
    error: 1 error; the target was not touched: target-held
      help: what to do is said with each of them
    "#);
}

#[test]
fn a_target_that_a_run_works_on() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    let whole = site.playbook.clone();
    site.playbook =
        "name = \"waits\"\n\n[[step]]\nname = \"wait\"\naction = \"command\"\nrun = \"touch /root/begun; sleep 600\"\n"
            .to_owned();
    let mut working = site.command().stderr(Stdio::null()).spawn().expect("drctl can be run");
    while !host.try_sh("[ -e /root/begun ]").status.success() {
        sleep(Duration::from_millis(100));
    }
    site.playbook = whole;
    let holder = lab.run_id();
    let ran = site.run().expect(6);
    assert_snapshot!(Site::worded(&ran.stderr), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR run [run] of [controller] holds the target: it is alive (last sign of life [a while] ago) [target-held]
            -> wait for it, or stop it there (Ctrl-C keeps its checkpoint); it counts as dead a minute after its last sign of life
    error: 1 error; the target was not touched: target-held
      help: what to do is said with each of them
    "#);
    site.arg(&format!("--take-over={holder}"));
    let ran = site.run().expect(6);
    working.kill().expect("it can be killed");
    working.wait().expect("it ends");
    assert!(ran.stderr.contains("[target-held]"), "{}", ran.stderr);
    assert!(!host.try_sh("[ -e /var/lib/etcd ]").status.success());
}

#[test]
fn a_folder_of_drctl_that_is_not_its_own() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    host.sh("mkdir -m 777 /var/lib/drctl");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR 10.77.0.10: /var/lib/drctl can be written to by others than root (drwxrwxrwx) [target-unsafe]
            -> drctl keeps keys and what it sets aside there: see who made it, then make it root's alone or move it away
    error: 1 error; the target was not touched: target-unsafe
      help: what to do is said with each of them
    "#);
}

/// A name that cannot be asked is no silence.
#[test]
fn an_old_control_plane_that_nobody_could_ask() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.cluster = site.cluster.replace(&format!("{ADDRESS}:6443"), "api.prod.invalid:6443");
    for fencing in ["", "[fencing]\nlisten_from = \"target\"\n"] {
        fencing.clone_into(&mut site.fencing);
        let said = site.refusal(3);
        let expected =
            "ERROR nobody could ask whether something answers at api.prod.invalid:6443: its name cannot be resolved";
        assert!(said.contains(expected) && said.contains("--accept old-control-plane-unheard"), "{said}");
    }
}

const FENCE: &str = "name = \"fence\"\n\n[[step]]\nname = \"fence\"\naction = \"fence\"\nquiet_for = \"0s\"\n";

/// What could be asked before the run has not fallen silent because it cannot be asked any more.
#[test]
fn an_old_control_plane_that_nobody_can_ask_any_more() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let names = format!("127.0.0.1 localhost\n{ADDRESS} master api.prod.test\n");
    let here = lab.write("hosts", &names);
    let there = format!("{}/etc/hosts", host.field("merged"));
    for (listen_from, hosts) in [("controller", &here), ("target", &there)] {
        let mut site = Site::new(&lab, &host);
        site.playbook = FENCE.to_owned();
        site.fencing = format!(
            "[fencing]\nlisten_from = \"{listen_from}\"\nmust_not_answer = [\"api.prod.test:6443\"]\n\
             command = [\"cp\", \"/dev/null\", \"{hosts}\"]\n"
        );
        let run = |site: &Site<'_>| {
            std::fs::write(hosts, &names).expect("names");
            Ran::from(with_hosts(&site.command(), &here).output().expect("drctl can be run"))
        };
        let failed = "asking whether something answers at api.prod.test:6443 failed: its name cannot be resolved";
        let told = run(&site).expect(4).stderr;
        assert!(told.contains(failed), "{told}");
        let resumed = with_hosts(&lab.command(&["resume"]), &here).output().expect("drctl can be run");
        let told = Ran::from(resumed).expect(4).stderr;
        assert!(told.contains(failed), "{told}");
        lab.drctl(&["rollback", "--yes"]).expect(0);
        // Whoever has seen that it is off says so when the run begins, although it could be asked then.
        site.arg("--accept=old-control-plane-unheard");
        let told = run(&site).expect(0).stderr;
        assert!(told.contains("nobody could ask api.prod.test:6443, as was accepted when the run began"), "{told}");
    }
}

/// A link that is away brings no answer; that is not the old control plane's silence.
#[test]
fn a_link_that_is_away_while_the_target_listens() {
    let lab = Lab::new();
    let host = lab.host("target", "light", "10.77.0.11", &[]);
    let old = lab.host("old", "light", ADDRESS, &[]);
    listen(&old, 6443);
    let fencing = lab.write("fencing", "");
    let mut site = Site::new(&lab, &host);
    site.playbook = FENCE.to_owned();
    site.fencing = format!(
        "[fencing]\nlisten_from = \"target\"\n\
         command = [\"sh\", \"-c\", \"echo >{fencing}; while [ -e {fencing} ]; do sleep 0.1; done\"]\n"
    );
    site.arg("--accept=old-control-plane-answers");
    let working = site.command().stderr(Stdio::piped()).spawn().expect("drctl can be run");
    while std::fs::read_to_string(&fencing).expect("a file").is_empty() {
        sleep(Duration::from_millis(50));
    }
    lab.lab(&["cut", "target"]);
    std::fs::remove_file(&fencing).expect("a file");
    sleep(Duration::from_secs(4));
    lab.lab(&["mend", "target"]);
    let ran = Ran::from(working.wait_with_output().expect("it ends")).expect(4);
    assert!(ran.stderr.contains("expected silence, found an accepted connection"), "{}", ran.stderr);
}

/// What is only a warning where a command fences is accepted for the step that listens afterwards.
#[test]
fn an_answer_that_was_accepted_and_a_fencing_command() {
    let lab = Lab::new();
    let host = lab.host("target", "light", "10.77.0.11", &[]);
    let old = lab.host("old", "light", ADDRESS, &[]);
    listen(&old, 6443);
    let mut site = Site::new(&lab, &host);
    site.playbook = FENCE.to_owned();
    site.fencing = "[fencing]\ncommand = [\"true\"]\n".to_owned();
    site.arg("--accept=old-control-plane-answers");
    let told = site.run().expect(0).stderr;
    assert!(told.contains("something answers at 10.77.0.10:6443, as was accepted when the run began"), "{told}");
}

/// The proofs at the end need it.
#[test]
fn a_server_that_does_not_forward_all_that_steps_need() {
    let lab = Lab::new();
    let sshd = lab.write("sshd.conf", "PermitOpen 127.0.0.1:2379\n");
    let host = lab.host("target", "light", ADDRESS, &["--sshd-config", &sshd]);
    let mut site = Site::new(&lab, &host);
    site.playbook += "\n[[step]]\nname = \"etcd-up\"\naction = \"wait_for\"\ntcp = \"127.0.0.1:2379\"\n";
    site.playbook += "\n[[step]]\nname = \"api-up\"\naction = \"wait_for\"\nhttp = \"https://localhost:6443/readyz\"\n";
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR step `api-up` reaches the target's loopback through SSH, which its server does not allow: could not reach localhost:6443 through 10.77.0.10: the server forbids it [no-forwarding]
            -> `AllowTcpForwarding local` in the target's sshd_config is enough; where it has a `PermitOpen`, that must name 127.0.0.1:2379 localhost:6443
    error: 1 error; the target was not touched: no-forwarding
      help: what to do is said with each of them
    "#);
}

#[test]
fn a_target_that_lacks_what_scripts_need() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    // As coreutils before 8.24 are.
    host.sh("printf '%s\\n' '#!/bin/sh' 'case $1 in -*) exit 1 ;; esac' 'exec /usr/bin/sync' >/usr/local/bin/sync
             chmod 755 /usr/local/bin/sync");
    let site = Site::new(&lab, &host);
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR drctl's scripts need on the target, and do not find: sync -f (coreutils 8.24 or later) [target-lacks]
            -> install coreutils (8.24 or later), util-linux, findutils, awk, grep and sed there, or take a newer host
    error: 1 error; the target was not touched: target-lacks
      help: what to do is said with each of them
    "#);
}
