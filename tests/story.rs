//! The whole story with real kubeadm: a control plane is lost, `drctl restore` brings it back on a fresh host, and every
//! object, the old credential and the controllers are there again.
#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod support;

use std::path::{Path, PathBuf};

use support::bed::{PLAIN, daemon, events, name_of_now};
use support::{ADDRESS, Host, Lab};

/// `kind namespace name uid` of every object that was there, without those whose work is to change.
fn objects(lab: &Lab, backup: &Path) -> Vec<String> {
    let listed = lab.kubectl(
        backup,
        &[
            "get",
            "ns,nodes,cm,secrets,sa,deploy,rs,svc,pods,clusterroles,clusterrolebindings,roles,rolebindings,ds",
            "-A",
            "--no-headers",
            "-o",
            "custom-columns=K:.kind,NS:.metadata.namespace,N:.metadata.name,U:.metadata.uid",
        ],
    );
    listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_lost_control_plane_comes_back() {
    let lab = Lab::new();
    let backup = lab.backup();
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let inventory = lab.inventory(&host, "root", &backup);
    was_a_node_of_another_cluster(&host);

    let ran = lab.drctl(&["restore", "--inventory", &inventory, "--yes"]).expect(0);
    assert!(ran.stderr.contains("RTO"), "{}", ran.stderr);

    let before = std::fs::read_to_string(backup.join("objects.txt")).expect("the backup's objects");
    let now = objects(&lab, &backup);
    // Tokens of bootstrapping expire; everything else is the same object, by its uid.
    let lost: Vec<&str> = before
        .lines()
        .map(str::trim)
        .filter(|line| !line.contains("bootstrap-token"))
        .filter(|line| !now.contains(&line.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect();
    assert!(lost.is_empty(), "{} of {} objects are lost: {lost:#?}", lost.len(), before.lines().count());

    lab.kubectl(&backup, &["-n", "shop", "create", "configmap", "after", "--from-literal=made=after"]);
    assert_eq!(
        lab.kubectl(&backup, &["-n", "shop", "get", "configmap", "after", "-o", "jsonpath={.data.made}"]),
        "after"
    );
    // The snapshot's service-account tokens are good, since the keys that sign them came back too.
    let token = std::fs::read_to_string(backup.join("token")).expect("a token of before");
    let kubectl_with_token = format!(
        "t=$(cat) && kubectl --kubeconfig /dev/null --server https://{ADDRESS}:6443 \
         --certificate-authority /etc/kubernetes/pki/ca.crt --token \"$t\" auth can-i create selfsubjectaccessreviews"
    );
    let answer = host.sh_with(&kubectl_with_token, token.trim());
    assert_eq!(answer.trim(), "yes");
    // The taint that the operator had removed is not back.
    assert_eq!(lab.kubectl(&backup, &["get", "node", "master", "-o", "jsonpath={.spec.taints}"]), "");

    // The kubelet goes by the certificate that the restored cluster's CA signed.
    let asked = host.sh("kubectl --kubeconfig /etc/kubernetes/kubelet.conf get node master -o name");
    assert_eq!(asked.trim(), "node/master");

    cron_jobs_are_taken(&lab, &backup, &inventory);

    let shown = lab.drctl(&["show", &lab.run_id()]).expect(0).stdout;
    assert!(shown.contains("state    restored"), "{shown}");
    lab.drctl(&["rollback", &lab.run_id(), "--yes"]).expect(2);
}

/// A client certificate of the kubelet that is good for years, and that the restored cluster knows nothing of.
fn was_a_node_of_another_cluster(host: &Host<'_>) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate");
    let plant = "mkdir -p /var/lib/kubelet/pki && cd /var/lib/kubelet/pki && umask 077 && cat >kubelet-client-1.pem && \
                 ln -s kubelet-client-1.pem kubelet-client-current.pem";
    host.sh_with(plant, &(certificate.pem() + &key.serialize_pem()));
}

/// Every `CronJob` that drctl makes is what the API server takes, with every field known to it. Kubernetes 1.20 has the kind in
/// `batch/v1beta1`; `batch/v1` came with 1.21, and has all of these fields with the same meaning, so only that is replaced.
fn cron_jobs_are_taken(lab: &Lab, backup: &Path, inventory: &str) {
    let text = std::fs::read_to_string(inventory).expect("the inventory");
    for provider in ["namespace]\nroot = \"/srv/root\"", "qemu]\nimage = \"/srv/image\""] {
        let drill = lab.write("scheduled/prod.toml", format!("{text}\n[drill.provider.{provider}\n"));
        let dir = lab.dir.path().join("scheduled").display().to_string();
        for which in [["--inventory", &drill], ["--all", &dir]] {
            let made = lab
                .drctl(&[&["drill", "schedule", "--kubernetes", "--every", "0 3 * * 0"], &which[..]].concat())
                .expect(0);
            assert!(made.stdout.contains("\napiVersion: batch/v1\nkind: CronJob\n"), "{}", made.stdout);
            let of_1_20 = made.stdout.replace("apiVersion: batch/v1\n", "apiVersion: batch/v1beta1\n");
            let file = lab.write("cronjob.yaml", &of_1_20);
            // With `--validate` (the default) a field that the API does not know is an error, too.
            let taken = lab.kubectl(backup, &["apply", "--dry-run=server", "-o", "json", "-f", &file]);
            let taken: serde_json::Value = serde_json::from_str(&taken).expect("JSON");
            let job = &taken["spec"]["jobTemplate"]["spec"];
            assert_eq!((&taken["spec"]["concurrencyPolicy"], &job["backoffLimit"]), (&"Forbid".into(), &0.into()));
            let privileged = &job["template"]["spec"]["containers"][0]["securityContext"]["privileged"];
            let readable = &job["template"]["spec"]["volumes"][0]["secret"]["defaultMode"];
            assert_eq!(readable, if provider.starts_with("namespace") { 0o400 } else { 0o440 }, "{taken:#}");
            assert_eq!(privileged == true, provider.starts_with("namespace"), "{taken:#}");
        }
    }
}

/// The backup's data with two more API servers that once lived, one whose lease etcd has lost and one whose lease runs, and
/// with a kubelet and a kube-proxy that are not configured by default.
fn with_api_servers_that_are_gone(lab: &Lab, backup: &Path) -> PathBuf {
    let host = lab.host("origin", "light", "10.77.0.30", &["--etcd", "3.4"]);
    let snapshots = std::fs::read_dir(backup.join("snapshots")).expect("the backup's snapshots");
    let saved = snapshots.map(|entry| entry.expect("a snapshot").path()).next().expect("a snapshot");
    std::fs::copy(saved, format!("{}/root/snapshot.db", host.field("merged"))).expect("the snapshot");
    host.sh("rm -rf /var/lib/etcd; ETCDCTL_API=3 etcdctl snapshot restore /root/snapshot.db --data-dir /var/lib/etcd");
    host.sh(&daemon("3.4", PLAIN));
    // Texts of equal length: the values are encoded with their lengths.
    host.sh(
        "set -e; export ETCDCTL_API=3 LC_ALL=C; at=/registry/masterleases
         n=0; until etcdctl get $at/10.77.0.10 --print-value-only >/root/value 2>/dev/null; do n=$((n + 1)); [ $n -lt 50 ]; sleep 0.1; done
         [ -s /root/value ]; truncate -s -1 /root/value
         sed 's/10\\.77\\.0\\.10/10.77.9.99/' /root/value | etcdctl put $at/10.77.9.99
         lease=$(etcdctl lease grant 15 | cut -d' ' -f2)
         sed 's/10\\.77\\.0\\.10/10.77.8.88/' /root/value | etcdctl put --lease=$lease $at/10.77.8.88
         for map in kubelet-config-1.20/evictionPressureTransitionPeriod kube-proxy/configSyncPeriod; do
             at=/registry/configmaps/kube-system/${map%/*}
             etcdctl get $at --print-value-only >/root/value; truncate -s -1 /root/value
             grep -q \"${map#*/}: 0s\" /root/value; sed \"s/${map#*/}: 0s/${map#*/}: 9s/\" /root/value | etcdctl put $at
         done
         etcdctl snapshot save /root/planted.db",
    );
    let folder = lab.dir.path().join("snapshots");
    std::fs::create_dir_all(&folder).expect("a folder for the snapshot");
    let planted = format!("{}/root/planted.db", host.field("upper"));
    std::fs::copy(planted, folder.join(name_of_now(&host))).expect("the snapshot");
    host.down();
    folder
}

/// etcd's member has the name and the peer address that kubeadm starts etcd with.
fn is_what_kubeadm_made(host: &Host<'_>) {
    let members = host
        .sh("cd /etc/kubernetes/pki/etcd && ETCDCTL_API=3 etcdctl --cacert ca.crt --cert healthcheck-client.crt \
         --key healthcheck-client.key member list");
    let manifest = host.sh("cat /etc/kubernetes/manifests/etcd.yaml");
    let told = |option: &str| {
        let values = manifest.lines().find_map(|line| line.trim().strip_prefix(&format!("- --{option}=")));
        values.unwrap_or_else(|| panic!("no --{option}: {manifest}")).to_owned()
    };
    let (name, url) = (told("name"), told("initial-advertise-peer-urls"));
    assert_eq!((name.as_str(), url.as_str()), ("master", format!("https://{ADDRESS}:2380").as_str()));
    assert!(members.contains(&format!(", started, {name}, {url}, ")), "{members}");
    assert_eq!(members.lines().count(), 1, "{members}");
    assert_eq!(told("data-dir"), "/var/lib/etcd");
}

/// The shipped playbook, and after it the API server is asked for its health, by address, by name and on the loopback.
fn and_asked_for_its_health(lab: &Lab, host: &Host<'_>) -> String {
    host.sh("echo '127.0.0.1 kubernetes.default' >>/etc/hosts");
    let hosts = [("by-address", ADDRESS), ("by-name", "kubernetes.default"), ("on-loopback", "127.0.0.1")];
    let asked = hosts.map(|(step, host)| {
        let url = format!("https://{host}:6443/healthz");
        format!("\n[[step]]\nname = \"{step}\"\naction = \"wait_for\"\nhttp = \"{url}\"\ntimeout = \"30s\"\n")
    });
    let shipped = lab.drctl(&["playbook", "show"]).expect(0).stdout;
    lab.write("playbook.toml", shipped + &asked.concat())
}

#[test]
fn api_servers_that_are_gone_are_not_led_to() {
    let lab = Lab::new();
    let backup = lab.backup();
    let folder = with_api_servers_that_are_gone(&lab, &backup);
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let inventory = lab.inventory(&host, "root", &backup);
    let text = std::fs::read_to_string(&inventory).expect("the inventory");
    let ours = format!("folder.path = \"{}\"", folder.display());
    let inventory =
        lab.write("prod.toml", text.replace(&format!("folder.path = \"{}/snapshots\"", backup.display()), &ours));

    let playbook = and_asked_for_its_health(&lab, &host);

    let ran = lab
        .drctl(&["restore", "--inventory", &inventory, "--playbook", &playbook, "--yes", "--output", "json"])
        .expect(0);
    let outputs = |step: &str| {
        let done = events(&ran).find(|data| data["event"] == "step_done" && data["step"] == step);
        done.expect("the step's outcome")["outputs"].clone()
    };
    let leases = outputs("masterleases");
    assert_eq!(leases["live"], ADDRESS, "{leases}");
    assert_eq!(leases["removed"], "10.77.9.99", "{leases}");
    assert!(leases["expired"].as_str().is_some_and(|expired| expired.contains("10.77.8.88")), "{leases}");
    assert_eq!(leases["left"], "none", "{leases}");
    assert_eq!(outputs("verify-cluster")["endpoints"], ADDRESS);
    let led_to = ["get", "endpoints", "kubernetes", "-o", "jsonpath={.subsets[*].addresses[*].ip}"];
    assert_eq!(lab.kubectl(&backup, &led_to), ADDRESS);
    let shown = lab.drctl(&["show", &lab.run_id()]).expect(0).stdout;
    assert!(shown.contains("| removed: 10.77.9.99"), "{shown}");
    is_what_kubeadm_made(&host);
    // `kubeadm init` writes the configuration that it was given: the snapshot's.
    let held =
        ["-n", "kube-system", "get", "configmap", "kubeadm-config", "-o", "jsonpath={.data.ClusterConfiguration}"];
    let before = std::fs::read_to_string(backup.join("kubeadm-config.yaml")).expect("the configuration of before");
    assert_eq!(lab.kubectl(&backup, &held).trim(), before.trim());
    for (map, key, set) in [
        ("kubelet-config-1.20", "kubelet", "evictionPressureTransitionPeriod: 9s"),
        ("kube-proxy", "config\\.conf", "configSyncPeriod: 9s"),
    ] {
        let path = format!("jsonpath={{.data.{key}}}");
        let now = lab.kubectl(&backup, &["-n", "kube-system", "get", "configmap", map, "-o", &path]);
        assert!(now.contains(set), "{now}");
    }
    host.sh("grep -qx 'evictionPressureTransitionPeriod: 9s' /var/lib/kubelet/config.yaml");
}
