//! Rehearsals for real: throwaway targets of namespaces and of a user's own commands, with a real sshd, a real etcd and
//! a real kubeadm; what they prove, what they leave (nothing), and what they can reach (nothing).

#![expect(clippy::expect_used, reason = "a test panics to say what went wrong")]

mod command;
mod faults;
mod isolation;
mod leftovers;
mod regular;
mod site;
#[path = "../support/mod.rs"]
mod support;

use site::{Root, Site};

/// The whole of it: kubeadm, the old admin credential, every object by its UID, and the figures within their limits.
#[test]
fn kube_a_control_plane_is_rehearsed() {
    let site = Site::new(Root::Kube, "rto = \"10m\"\nrpo = \"30d\"\n");
    let evidence = site.drill(&[], 0);
    assert_eq!(evidence["verdict"]["outcome"], "passed", "{evidence:#}");
    assert_eq!(evidence["drill"]["level"], "control-plane");
    let outputs = |step: &str| site.outputs(step);
    assert!(
        outputs("drill-verify-objects")["objects"].as_str().expect("objects").parse::<u32>().expect("a number") > 300
    );
    assert_eq!(outputs("verify-cluster")["old_admin"], "accepted");
    assert!(site.folder().join("report.html").is_file() && site.folder().join("report.json").is_file());
    site.leaves_nothing();
}

/// User's own checks, and nothing that acts on the restored world.
#[test]
fn kube_workload_is_checked_while_controllers_are_held_back() {
    let site = Site::new(
        Root::Kube,
        "hold_back = true\n\
         [[drill.check]]\nname = \"shop-is-there\"\nobject = \"/api/v1/namespaces/shop\"\nat = \"/metadata/name\"\nequals = \"shop\"\n\
         [[drill.check]]\nname = \"kubectl-sees-it\"\nrun = 'test \"$(kubectl get namespace shop -o name)\" = namespace/shop'\n",
    );
    let evidence = site.drill(&[], 0);
    assert_eq!(evidence["drill"]["level"], "workload", "{evidence:#}");
    assert_eq!(site.outputs("shop-is-there")["seen"], "/metadata/name is shop");
    for proof in ["leader", "canary"] {
        assert_eq!(site.outputs("verify-cluster")[proof], "not tried");
    }
    site.leaves_nothing();
}

/// etcd alone: every key, and the trend of two drills. A limit that is not kept fails the drill.
#[test]
fn data_is_rehearsed_and_compared_with_the_drill_before() {
    let site = Site::new(Root::Light, "rto = \"10m\"\n");
    let first = site.drill(&[], 0);
    assert_eq!(first["drill"]["level"], "data", "{first:#}");
    assert_eq!(site.outputs("drill-verify-data")["expired"], "0");
    assert_eq!(first["trend"].as_array().expect("a trend").len(), 1);
    site.leaves_nothing();

    let text = std::fs::read_to_string(&site.inventory).expect("the inventory");
    std::fs::write(&site.inventory, text.replace("rto = \"10m\"", "rto = \"1s\"")).expect("a stricter inventory");
    let second = site.drill(&[], 1);
    assert_eq!(second["verdict"]["outcome"], "failed");
    let reasons = second["verdict"]["reasons"].to_string();
    assert!(reasons.contains("only 1.0s is allowed"), "{reasons}");
    assert_eq!(second["trend"].as_array().expect("a trend").len(), 2, "the drill before is remembered");
    assert_eq!(second["last_success"], first["ended"]);
    site.leaves_nothing();
}

/// A root of a distribution's packages is made once.
#[test]
fn a_root_is_made_of_packages() {
    let site = Site::new(Root::Light, "");
    let text = std::fs::read_to_string(&site.inventory).expect("the inventory");
    let (before, _) = text.split_once("[drill.provider.namespace]").expect("the provider");
    let mirror = site::sh("exec bash -c '. tests/lab/lib/common.sh; mirror'");
    let debootstrap = format!(
        "{before}[drill.provider.namespace.debootstrap]\nsuite = \"bookworm\"\nmirror = \"{}\"\n\
         include = [\"etcd-server\", \"etcd-client\"]\n",
        mirror.trim()
    );
    std::fs::write(&site.inventory, debootstrap).expect("another inventory");
    // Packages come from where this machine's do, which the hub has no way to; the target is as isolated as ever.
    let outside = || {
        let mut command = std::process::Command::new(support::DRCTL);
        command.arg("--state").arg(site.lab.dir.path().join("state"));
        let ran: support::Ran =
            command.args(["drill", "--inventory", &site.inventory]).output().expect("drctl can be run").into();
        ran.expect(0);
        site.report()
    };
    let evidence = outside();
    assert_eq!(evidence["drill"]["level"], "data", "{evidence:#}");
    let again = outside();
    let seconds = |evidence: &serde_json::Value| evidence["figures"]["create_seconds"].as_f64().expect("seconds");
    assert!(seconds(&again) < seconds(&evidence) / 2.0, "it was made a second time");
    site.leaves_nothing();
}

/// What the inventory does not say is said before anything is made; that there is no snapshot is a verdict.
#[test]
fn nothing_is_made_without_a_provider_and_a_snapshot() {
    let site = Site::new(Root::Light, "");
    let metrics = site.lab.dir.path().join("metrics");
    std::fs::create_dir(&metrics).expect("a folder");
    let text = std::fs::read_to_string(&site.inventory).expect("the inventory");
    let without = text.split("[drill").next().expect("its beginning").to_owned();
    let no_provider = site.lab.write("no-provider.toml", &without);
    let said = site.lab.drctl(&["drill", "--inventory", &no_provider]).expect(2).stderr;
    insta::assert_snapshot!(said, @r#"
    error: the inventory does not say where a throwaway target comes from
      help: add `[drill.provider.namespace]` with `root = "…"`, or another provider; `docs/drills.md` has them
    "#);
    let empty = site.lab.dir.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    let backup = site.lab.backup().join("snapshots").display().to_string();
    let text = format!("{text}\n[report]\nmetrics = \"{}\"\n", metrics.display());
    let no_snapshot = site.lab.write("no-snapshot.toml", text.replace(&backup, &empty.display().to_string()));
    let said = site.lab.drctl(&["drill", "--inventory", &no_snapshot]).expect(3).stderr;
    assert!(said.contains("DRILL FAILED") && said.contains("  found no valid snapshot."), "{said}");
    let told = std::fs::read_to_string(metrics.join("drctl-drill-prod.prom")).expect("metrics");
    for line in ["verdict=\"passed\"} 0", "verdict=\"failed\"} 1"] {
        assert!(told.contains(line), "{told}");
    }
    assert_eq!(site::sh(&format!("ls {}", site.unplanned().display())), "lock\nreport.html\nreport.json\nreport.md\n");
    assert_eq!(site.lab.drctl(&["drill", "sweep"]).expect(0).stdout, "nothing was left by any drill\n");
    let listed = site.lab.drctl(&["drill", "list"]).expect(0).stdout;
    assert!(listed.ends_with("  target never planned\n"), "{listed}");
}
