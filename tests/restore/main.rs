//! Real etcds restored onto light hosts: each version, each way to be root, with and without data, on a folder and on a
//! mount point; by each restore engine; over links that break.
#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

#[path = "../support/mod.rs"]
mod support;

mod engines;
mod links;
mod vault;

use support::bed::{self, Origin, Procedure, TOUCHED, words};
use support::{ADDRESS, Lab};

/// What an owner may have left: odd modes, owners and times, a link, a name with blanks.
const LEFTOVERS: &str = "set -e
    mkdir -p /var/lib/etcd/member/wal /etc/kubernetes/pki; cd /var/lib/etcd
    head -c 300000 /dev/urandom >member/wal/0.wal; echo keep >'a note.txt'; ln -s nowhere link
    chown -R 999:999 member; chmod 640 member/wal/0.wal; touch -d 2001-01-01 'a note.txt' member/wal; chmod 750 .
    echo old >/etc/kubernetes/pki/ca.crt; chown 12:34 /etc/kubernetes/pki/ca.crt";

/// Restores twice on one kind of host, without data there and with; compares, undoes, compares.
fn restores(version: &'static str, user: &str, mounted: bool) {
    let lab = Lab::new();
    let origin = Origin::new(&lab, version, "");
    let mut procedure = Procedure::new(version);
    if user == "oppw" {
        let password = format!("{}.password", lab.lab(&["key"]).replace("id_ed25519", "oppw"));
        assert!(std::path::Path::new(&password).is_file(), "no {password}");
        procedure.target = format!("become = {{ method = \"sudo\", password = {{ file = \"{password}\" }} }}\n");
    }
    for leftovers in ["", LEFTOVERS] {
        let mount: &[&str] = if mounted { &["--mount-etcd"] } else { &[] };
        let host = lab.host("target", "light", ADDRESS, &[&["--etcd", version], mount].concat());
        host.sh(leftovers);
        if mounted {
            host.sh("mkdir -p /var/lib/etcd/lost+found; echo found >'/var/lib/etcd/lost+found/#12'");
        }
        let before = host.tree(&TOUCHED);
        let restore = procedure.write(&lab, &host, user, &origin.source());
        let ran = lab.drctl(&words(&restore, &["--output", "json"])).expect(0);

        assert_eq!(bed::engine(&ran), if version == "3.5" { "etcdutl" } else { "etcdctl" });
        origin.is_served(&host, version == "3.5");
        if mounted {
            assert_eq!(host.sh("cat '/var/lib/etcd/lost+found/#12'"), "found\n");
            host.sh("mountpoint -q /var/lib/etcd");
        }
        if !leftovers.is_empty() {
            let kept = host.sh("find /var/lib -name 'a note.txt' -o -name 0.wal | sort");
            assert_eq!(kept.lines().count(), 2, "what was there is kept aside: {kept}");
            let digest = before.lines().find_map(|line| line.strip_suffix("  /var/lib/etcd/member/wal/0.wal"));
            let digest = digest.expect("it was there");
            let aside = host.sh("find /var/lib -name 0.wal -printf '%m %U:%G ' -exec sha256sum {} +");
            assert!(aside.starts_with(&format!("640 999:999 {digest}")), "{aside}");
        }

        lab.drctl(&["rollback", &lab.run_id(), "--after-success", "--yes"]).expect(0);
        assert_eq!(host.tree(&TOUCHED), before);
        assert_eq!(host.sh("ls /var/lib/drctl"), "epoch\nmutex\n");
        host.down();
    }
}

macro_rules! matrix {
    ($($name:ident: $version:literal, $user:literal, $mounted:literal;)*) => {
        $(#[test]
        fn $name() {
            restores($version, $user, $mounted);
        })*
    };
}

// Each two of version, user and place meet.
matrix! {
    etcd_3_4_as_root_into_a_folder: "3.4", "root", false;
    etcd_3_4_as_a_sudo_user_into_a_mount_point: "3.4", "ops", true;
    etcd_3_4_as_a_sudo_user_with_a_password_into_a_folder: "3.4", "oppw", false;
    etcd_3_5_as_root_into_a_mount_point: "3.5", "root", true;
    etcd_3_5_as_a_sudo_user_into_a_folder: "3.5", "ops", false;
    etcd_3_5_as_a_sudo_user_with_a_password_into_a_mount_point: "3.5", "oppw", true;
}

#[test]
fn an_etcd_with_certificates_is_proven_through_the_tunnel() {
    let lab = Lab::new();
    let origin = Origin::new(&lab, "3.5", "");
    let host = lab.host("target", "light", ADDRESS, &["--etcd", "3.5"]);
    let procedure = Procedure::with_certificates("3.5", &bed::certificates(&lab));
    let restore = procedure.write(&lab, &host, "ops", &origin.source());
    lab.drctl(&words(&restore, &[])).expect(0);
    let pki = "/etc/kubernetes/pki/etcd";
    let etcdctl = format!(
        "ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert {pki}/ca.crt \
         --cert {pki}/healthcheck-client.crt --key {pki}/healthcheck-client.key"
    );
    origin.is_served_to(&host, true, &etcdctl);
}
