//! Encryption at rest with real kubeadm: what the lost API server had encrypted is read again in clear, and a restore after
//! which it could not be is refused while the target is untouched.
#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod support;

use std::path::{Path, PathBuf};

use support::bed::name_of_now;
use support::{ADDRESS, Host, Lab, Ran};

/// What kubeadm is told, with the API server's file in a folder of its own.
const KUBEADM: &str = "apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
apiServer:
  extraArgs:
    encryption-provider-config: /etc/kubernetes/at-rest/config.yaml
  extraVolumes:
  - name: at-rest
    hostPath: /etc/kubernetes/at-rest
    mountPath: /etc/kubernetes/at-rest
    readOnly: true
    pathType: DirectoryOrCreate
";
const CONFIG: &str = "/etc/kubernetes/at-rest/config.yaml";
const ETCDCTL: &str = "ETCDCTL_API=3 etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt \
    --cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key";

/// How the API server encrypts Secrets, with a new secret under this name.
fn configuration(key: &str) -> String {
    use base64::Engine as _;
    use std::io::Read as _;
    let mut secret = [0; 32];
    let random = std::fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut secret));
    random.expect("32 random bytes");
    let secret = base64::engine::general_purpose::STANDARD.encode(secret);
    format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n\
         \x20 providers:\n  - secretbox: {{keys: [{{name: {key}, secret: {secret}}}]}}\n  - identity: {{}}\n"
    )
}

/// A control plane that encrypts, saved and lost; the folder of its backup.
fn backup(lab: &Lab) -> PathBuf {
    let host = lab.host("origin", "kube", ADDRESS, &["--hostname", "master"]);
    let folder = lab.dir.path().join("backup");
    let config = configuration("of-2026");
    lab.write("backup/pki/encryption-config.yaml", &config);
    host.sh_with(
        &format!("mkdir -m 700 -p {}; umask 077; cat >{CONFIG}", CONFIG.rsplit_once('/').expect("a folder").0),
        &config,
    );
    host.sh_with("cat >/root/kubeadm.yaml", KUBEADM);
    host.sh("kubeadm init --config /root/kubeadm.yaml >/root/init.log 2>&1 || { tail /root/init.log >&2; exit 1; }");
    host.sh(
        "set -e; export KUBECONFIG=/etc/kubernetes/admin.conf
         n=0; until kubectl -n kube-system get sa default >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 200 ]; sleep 0.3; done
         kubectl taint nodes --all node-role.kubernetes.io/master-
         kubectl create ns shop
         kubectl -n shop create secret generic credentials --from-literal=password='in clear'
         kubectl -n shop create cm settings --from-literal=owner=shop
         kubectl wait --for=condition=Ready node/master --timeout=90s >/dev/null",
    );
    is_encrypted(&host, "credentials");
    host.sh(&format!("{ETCDCTL} snapshot save /root/snapshot.db; cd /etc/kubernetes; tar -cf /root/saved.tar admin.conf pki/ca.* pki/sa.* pki/front-proxy-ca.* pki/etcd/ca.*"));
    let saved = format!("{}/root", host.field("upper"));
    std::fs::create_dir_all(folder.join("snapshots")).expect("a folder");
    std::fs::copy(format!("{saved}/snapshot.db"), folder.join("snapshots").join(name_of_now(&host)))
        .expect("the snapshot");
    let unpacked =
        std::process::Command::new("tar").arg("-xf").arg(format!("{saved}/saved.tar")).arg("-C").arg(&folder).status();
    assert!(unpacked.expect("tar can be run").success());
    host.down();
    folder
}

/// etcd holds the Secret as the API server encrypted it.
fn is_encrypted(host: &Host<'_>, name: &str) {
    let value = host.sh(&format!("{ETCDCTL} get /registry/secrets/shop/{name} --print-value-only | head -c 29"));
    assert_eq!(value, "k8s:enc:secretbox:v1:of-2026:");
}

/// The findings of a refusal that left the target as it was.
fn refused(lab: &Lab, host: &Host<'_>, inventory: &str) -> Ran {
    let roots = ["/etc/kubernetes", "/var/lib/etcd", "/var/lib/drctl"];
    let before = host.tree(&roots);
    let ran = lab.drctl(&["restore", "--inventory", inventory, "--yes"]).expect(3);
    assert!(host.tree(&roots) == before, "the target was touched");
    ran
}

fn inspected(lab: &Lab, backup: &Path) {
    let file =
        std::fs::read_dir(backup.join("snapshots")).expect("a folder").next().expect("a snapshot").expect("its name");
    let file = file.path().display().to_string();
    let ran = lab.drctl(&["snapshot", "inspect", &file, "--output", "json"]).expect(0);
    let line: serde_json::Value = serde_json::from_str(&ran.stdout).expect("a line of JSON");
    let [encrypted] = line["data"]["encrypted"].as_array().expect("what is encrypted").as_slice() else {
        panic!("{line}")
    };
    let told = ["resource", "provider", "key"].map(|key| encrypted[key].as_str().expect("a word"));
    assert_eq!(told, ["secrets", "secretbox", "of-2026"]);
    let shown = lab.drctl(&["snapshot", "inspect", &file]).expect(0).stdout;
    assert!(shown.contains("secretbox") && shown.contains("of-2026"), "{shown}");
}

#[test]
fn what_was_encrypted_is_read_again() {
    let lab = Lab::new();
    let backup = backup(&lab);
    inspected(&lab, &backup);
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let inventory = lab.inventory(&host, "root", &backup);
    let config = backup.join("pki/encryption-config.yaml");
    let right = std::fs::read(&config).expect("the configuration");

    std::fs::remove_file(&config).expect("it is there");
    let ran = refused(&lab, &host, &inventory);
    assert!(
        ran.stderr.contains("[encryption-config-missing]") && ran.stderr.contains("the key `of-2026`"),
        "{}",
        ran.stderr
    );
    std::fs::write(&config, configuration("of-2025")).expect("another configuration");
    let ran = refused(&lab, &host, &inventory);
    assert!(
        ran.stderr.contains("[encryption-config-unfit]") && ran.stderr.contains("the key `of-2026`"),
        "{}",
        ran.stderr
    );
    std::fs::write(&config, right).expect("the configuration");
    let text = std::fs::read_to_string(&inventory).expect("the inventory");
    let own = "kubeadm_config_inline = \"apiVersion: kubeadm.k8s.io/v1beta2\\nkind: ClusterConfiguration\\nkubernetesVersion: v1.20.2\\n\"\n[target]";
    let untold = lab.write("untold.toml", text.replacen("[target]", own, 1));
    let ran = refused(&lab, &host, &untold);
    assert!(ran.stderr.contains("[encryption-config-untold]"), "{}", ran.stderr);

    lab.drctl(&["restore", "--inventory", &inventory, "--yes"]).expect(0);
    let read = |name: &str| {
        lab.kubectl(
            &backup,
            &["-n", "shop", "get", "secret", name, "-o", "go-template={{.data.password | base64decode}}"],
        )
    };
    assert_eq!(read("credentials"), "in clear");
    is_encrypted(&host, "credentials");
    lab.kubectl(&backup, &["-n", "shop", "create", "secret", "generic", "after", "--from-literal=password=new"]);
    is_encrypted(&host, "after");
    assert_eq!(read("after"), "new");
    assert_eq!(host.sh(&format!("stat -c '%a %U:%G' {CONFIG}")), "600 root:root\n");
    lab.kubectl(&backup, &["get", "secrets", "-A"]);
}
