//! Game days: what is broken on purpose is coped with, and the report says how.

use super::site::{Root, Site};

#[test]
fn every_fault_is_coped_with() {
    let site = Site::new(Root::Light, "");
    for (fault, said) in [
        ("kill-controller", "`resume` took it up"),
        ("cut-link", "the run went on by itself"),
        ("reboot-target", "the target lost its power in step `restore-etcd`"),
        ("corrupt-snapshot", "passed over"),
    ] {
        let evidence = site.drill(&["--fault", fault], 0);
        let proofs = evidence["proofs"].as_array().expect("proofs");
        let proof = proofs.iter().find(|proof| proof["name"] == format!("Game day: {fault}")).expect("its proof");
        assert_eq!(proof["passed"], true, "{proof:#}");
        assert!(proof["found"].as_str().expect("words").contains(said), "{proof:#}");
        site.leaves_nothing();
    }
}

/// The longest step there is, with a real kubeadm.
#[test]
fn kube_a_controller_that_is_killed_amid_kubeadm_is_coped_with() {
    let site = Site::new(Root::Kube, "");
    let evidence = site.drill(&["--fault", "kill-controller"], 0);
    let proofs = evidence["proofs"].to_string();
    assert!(proofs.contains("drctl was killed in step `kubeadm-init`; `resume` took it up"), "{proofs}");
    site.leaves_nothing();
}
