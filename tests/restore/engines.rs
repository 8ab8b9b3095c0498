//! Each restore engine makes the same data.

use crate::bed::{Origin, Procedure, engine, words};
use crate::support::{ADDRESS, Lab};

#[test]
fn the_engine_that_the_playbook_asks_for_is_taken() {
    let lab = Lab::new();
    let origin = Origin::new(&lab, "3.5", "");
    let host = lab.host("target", "light", ADDRESS, &["--etcd", "3.5"]);
    let procedure = Procedure { engine: "engine = \"etcdctl\"".to_owned(), ..Procedure::new("3.5") };
    let restore = procedure.write(&lab, &host, "root", &origin.source());
    let ran = lab.drctl(&words(&restore, &["--output", "json"])).expect(0);
    assert_eq!(engine(&ran), "etcdctl");
    // `etcdctl` of 3.5 is deprecated for this, and raises the revision too.
    origin.is_served(&host, true);
}

#[test]
fn a_host_without_etcds_tools_gets_the_controllers() {
    let lab = Lab::new();
    let origin = Origin::new(&lab, "3.5", "");
    let host = lab.host("target", "light", ADDRESS, &["--etcd", "none"]);
    let etcdutl = format!("etcdutl = \"{}/etcdutl\"\n", lab.lab(&["path", "etcd-3.5"]));
    for asked in ["engine = \"uploaded\"", ""] {
        let procedure = Procedure { cluster: etcdutl.clone(), engine: asked.to_owned(), ..Procedure::new("3.5") };
        let restore = procedure.write(&lab, &host, "ops", &origin.source());
        let ran = lab.drctl(&words(&restore, &["--output", "json"])).expect(0);
        assert_eq!(engine(&ran), "uploaded");
        origin.is_served(&host, true);
        lab.drctl(&["rollback", &lab.run_id(), "--after-success", "--yes"]).expect(0);
    }
}

#[test]
fn containerd_restores_with_the_image_that_kubernetes_brought() {
    let lab = Lab::new();
    let origin = Origin::new(&lab, "3.4", "");
    let host = lab.host("target", "kube", ADDRESS, &["--etcd", "none"]);
    host.sh("systemctl stop kubelet");
    // Where systemd is init, what a job starts ends with it; a daemon is a unit.
    let procedure = Procedure {
        start: "systemd-run --unit=etcd /root/etcd --data-dir /var/lib/etcd --name master \
                --listen-peer-urls http://127.0.0.1:2380 --listen-client-urls http://127.0.0.1:2379 \
                --advertise-client-urls http://127.0.0.1:2379"
            .to_owned(),
        ..Procedure::new("3.4")
    };
    let tools = lab.lab(&["path", "etcd-3.4"]);
    for tool in ["etcd", "etcdctl"] {
        std::fs::copy(format!("{tools}/{tool}"), format!("{}/root/{tool}", host.field("merged"))).expect("the tool");
    }
    let restore = procedure.write(&lab, &host, "root", &origin.source());
    let ran = lab.drctl(&words(&restore, &["--output", "json"])).expect(0);
    assert_eq!(engine(&ran), "containerd");
    origin.is_served_to(&host, false, "ETCDCTL_API=3 /root/etcdctl");
    assert_eq!(host.sh("ctr -n k8s.io containers ls -q"), "", "no container is left");
}
