//! What is gathered from the backup of a real control plane, beside what that control plane itself said.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use drctl::inventory::Secret;
use drctl::pki::service_account::{self, Proof};
use drctl::pki::{self, Certificate, PublicKey, Tie};
use drctl::snapshot::origin::{Authority, Clock, Witness};
use drctl::snapshot::{ComponentConfiguration, Keyspace, Knowledge, Verdict, examine, time_in_name};
use jiff::SignedDuration;

use crate::etcd::{Etcd, Programs};

pub(crate) struct Backup {
    folder: PathBuf,
    cluster: HashMap<String, String>,
}

impl Backup {
    /// The lab's; made when there is none yet, which takes a minute or two.
    pub(crate) fn take() -> Self {
        let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/lab");
        let output = Command::new(lab).arg("backup").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        let environment = fs::read_to_string(folder.join("cluster.env")).unwrap();
        let pairs = environment.lines().filter_map(|line| line.split_once('='));
        let cluster = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { folder, cluster }
    }

    pub(crate) fn snapshot(&self) -> PathBuf {
        self.folder.join("snapshots").join(&self.cluster["SNAPSHOT"])
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).unwrap()
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }
}

#[test]
fn a_real_control_plane_is_known() {
    let backup = Backup::take();
    let cluster = &backup.cluster;
    assert_eq!(examine(&backup.snapshot()).unwrap().verdict, Verdict::Whole);
    let known = Knowledge::read(&backup.snapshot()).unwrap();
    assert!(known.unread.is_empty(), "{:?}", known.unread);
    assert_eq!(known.totals.revision.to_string(), cluster["SNAPSHOT_REVISION"]);
    assert_eq!(known.kube_system_uid.as_ref(), Some(&cluster["KUBE_SYSTEM_UID"]));
    assert_eq!(known.kubernetes_version(), Some(cluster["KUBERNETES_VERSION"].as_str()));
    assert_eq!(known.server, Some(format!("https://{}:6443", cluster["IP"])));
    assert_eq!(known.api_servers, [cluster["IP"].clone()]);
    assert_eq!(known.api_port, Some(6443));
    let configuration = known.configuration.as_ref().unwrap();
    assert_eq!(configuration.yaml.trim_end(), backup.text("kubeadm-config.yaml").trim_end());
    assert_eq!(configuration.etcd_data_dir.as_deref(), Some("/var/lib/etcd"));
    for (component, kind) in [
        (&known.kubelet_configuration, "KubeletConfiguration"),
        (&known.kube_proxy_configuration, "KubeProxyConfiguration"),
    ] {
        let ComponentConfiguration::Yaml(yaml) = component else { panic!("{component:?}") };
        assert!(yaml.contains(&format!("\nkind: {kind}\n")), "{yaml}");
    }
    let nodes: Vec<_> =
        known.control_plane().map(|node| (&node.name, node.address("InternalIP"), node.ready)).collect();
    assert_eq!(nodes, [(&cluster["HOSTNAME"], Some(cluster["IP"].as_str()), true)]);
    assert_eq!(serde_json::to_value(&known.nodes[0].taints).unwrap(), serde_json::json!([]));
    assert_eq!(known.etcd.members[0].name, cluster["HOSTNAME"]);
    assert_eq!(known.etcd.members[0].peer_urls, [format!("https://{}:2380", cluster["IP"])]);

    let newest = known.newest_change().unwrap();
    let named = time_in_name(&cluster["SNAPSHOT"]).unwrap();
    assert!(newest.time.duration_since(named).abs() < SignedDuration::from_secs(30), "{newest:?}");
    assert_eq!(
        known.changes.keys().copied().collect::<Vec<_>>(),
        [Clock::Leader, Clock::NodeLease, Clock::NodeStatus, Clock::Event]
    );
}

#[test]
fn every_object_is_found_by_its_uid() {
    let backup = Backup::take();
    let mut live = HashMap::new();
    Keyspace::open(&backup.snapshot())
        .unwrap()
        .for_each_live(|record| _ = live.insert(String::from_utf8(record.key.clone()).unwrap(), record.value.clone()))
        .unwrap();
    let objects = backup.text("objects.txt");
    for line in objects.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, namespace, name, uid] = words[..] else { panic!("{line}") };
        let resource = match kind {
            "Service" => "services/specs".to_owned(),
            "Node" => "minions".to_owned(),
            kind => kind.to_lowercase() + "s",
        };
        let place = if namespace == "<none>" { name.to_owned() } else { format!("{namespace}/{name}") };
        let key = format!("/registry/{resource}/{place}");
        let value = live.get(&key).unwrap_or_else(|| panic!("{key} is missing"));
        assert!(value.windows(uid.len()).any(|window| window == uid.as_bytes()), "{key}");
    }
    assert!(objects.lines().count() > 100);
}

#[test]
fn the_clusters_authority_is_told_from_others() {
    let backup = Backup::take();
    let known = Knowledge::read(&backup.snapshot()).unwrap();
    assert_eq!(known.authorities.len(), 1);
    let all = [Witness::ClusterInfo, Witness::ApiServerAuthentication, Witness::RootCa, Witness::ServiceAccountToken];
    assert!(all.iter().all(|witness| known.authorities[0].found_in.contains(witness)));
    let ours = Certificate::all_in(Authority::bundle(&known.authorities).as_bytes()).unwrap();

    let key = Secret::new(backup.read("pki/ca.key"));
    let examined = pki::examine(&backup.read("pki/ca.crt"), &key, time_in_name(&backup.cluster["SNAPSHOT"]).unwrap());
    assert_eq!(examined.faults, []);
    assert_eq!(examined.authority.unwrap().tie(&ours), Tie::Same);
    for foreign in ["pki/etcd/ca.crt", "pki/front-proxy-ca.crt"] {
        let other = Certificate::all_in(&backup.read(foreign)).unwrap().remove(0);
        assert!(matches!(other.tie(&ours), Tie::Foreign { .. }));
    }
    let front_proxy = Certificate::all_in(known.front_proxy_authorities[0].pem.as_bytes()).unwrap();
    let placed = Certificate::all_in(&backup.read("pki/front-proxy-ca.crt")).unwrap().remove(0);
    assert_eq!(placed.tie(&front_proxy), Tie::Same);
}

#[test]
fn tokens_prove_the_service_account_keys() {
    let backup = Backup::take();
    let known = Knowledge::read(&backup.snapshot()).unwrap();
    let public = PublicKey::all_in(&backup.read("pki/sa.pub")).unwrap();
    let key = Secret::new(backup.read("pki/sa.key"));
    assert_eq!(service_account::is_pair(&public, &key), Ok(true));
    assert_eq!(service_account::is_pair(&public, &Secret::new(backup.read("pki/ca.key"))), Ok(false));
    let stranger = PublicKey::all_in(&backup.read("pki/ca.crt")).unwrap();
    assert!(!known.service_account_tokens.is_empty());
    for token in known.service_account_tokens.iter().chain([&Secret::new(backup.read("token"))]) {
        assert_eq!(service_account::signed(&public, token), Proof::Signed);
        assert_eq!(service_account::signed(&stranger, token), Proof::NotSigned);
    }
}

fn kubelet_configuration(period: &str) -> serde_json::Value {
    let head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
    serde_json::json!({"data": {"kubelet": format!("{head}fileCheckFrequency: {period}\n")}})
}

/// What Kubernetes 1.11 left, stored as JSON, with one object that is broken.
fn older_objects() -> [(&'static str, serde_json::Value); 8] {
    let leader = r#"{"holderIdentity":"m","leaseDurationSeconds":15,"renewTime":"2018-05-24T21:54:01Z"}"#;
    let configuration = "apiVersion: kubeadm.k8s.io/v1alpha2\nkind: MasterConfiguration\nkubernetesVersion: v1.11.0\n\
        clusterName: old\napi: {advertiseAddress: 10.0.0.1, controlPlaneEndpoint: api.example}\n\
        apiServerCertSANs: [api.example]\netcd: {local: {dataDir: /data/etcd}}\nnetworking: {podSubnet: 10.244.0.0/16}\n";
    [
        ("namespaces/kube-system", serde_json::json!({"metadata": {"name": "kube-system", "uid": "u-1"}})),
        (
            "minions/m",
            serde_json::json!({
                "metadata": {"name": "m", "labels": {"node-role.kubernetes.io/master": ""}},
                "spec": {"podCIDR": "10.244.0.0/24", "taints": [{"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"}]},
                "status": {
                    "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                    "conditions": [{"type": "Ready", "status": "False", "lastHeartbeatTime": "2018-05-24T21:53:58Z"}],
                    "nodeInfo": {"kubeletVersion": "v1.11.0"},
                },
            }),
        ),
        (
            "services/endpoints/kube-system/kube-controller-manager",
            serde_json::json!({
                "metadata": {"name": "kube-controller-manager", "annotations": {"control-plane.alpha.kubernetes.io/leader": leader}},
            }),
        ),
        (
            "services/endpoints/default/kubernetes",
            serde_json::json!({"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"name": "https", "port": 8443}]}]}),
        ),
        ("configmaps/kube-system/kubeadm-config", serde_json::json!({"data": {"MasterConfiguration": configuration}})),
        ("configmaps/kube-system/kubelet-config-1.9", kubelet_configuration("9s")),
        ("configmaps/kube-system/kubelet-config-1.11", kubelet_configuration("11s")),
        ("configmaps/kube-public/cluster-info", serde_json::json!({"data": {"kubeconfig": "clusters: ["}})),
    ]
}

#[tokio::test]
async fn an_older_cluster_with_encrypted_secrets() {
    let programs = &Programs::all()[0];
    let etcd = Etcd::start(programs);
    let mut client = etcd.client().await;
    for (key, object) in older_objects() {
        client.put(format!("/registry/{key}"), object.to_string(), None).await.unwrap();
    }
    for name in ["a", "b"] {
        let value = b"k8s:enc:aescbc:v1:key1:\xff\x00ciphertext".as_slice();
        client.put(format!("/registry/secrets/default/{name}"), value, None).await.unwrap();
    }
    let value = b"k8s:enc:aescbc:v1:key1:\xff\x00ciphertext".as_slice();
    client.put("/registry/configmaps/kube-system/kube-proxy", value, None).await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("snapshot.db");
    etcd.save(&file);

    let known = Knowledge::read(&file).unwrap();
    assert_eq!(known.kube_system_uid.as_deref(), Some("u-1"));
    assert_eq!(known.kubernetes_version(), Some("v1.11.0"));
    assert_eq!(known.cluster_name(), Some("old"));
    assert_eq!(known.api_port, None, "no API server registered itself");
    let configuration = known.configuration.as_ref().unwrap();
    assert_eq!(configuration.kind, "MasterConfiguration");
    assert_eq!(configuration.control_plane_endpoint.as_deref(), Some("api.example"));
    assert_eq!(configuration.cert_sans, ["api.example"]);
    assert_eq!(configuration.etcd_data_dir.as_deref(), Some("/data/etcd"));
    assert_eq!(configuration.pod_subnet.as_deref(), Some("10.244.0.0/16"));
    let ComponentConfiguration::Yaml(kubelet) = &known.kubelet_configuration else { panic!("no configuration") };
    assert!(kubelet.contains("fileCheckFrequency: 11s"), "{kubelet}");
    assert_eq!(known.kube_proxy_configuration, ComponentConfiguration::Unknown, "it is encrypted");
    let node = known.control_plane().next().unwrap();
    assert_eq!((node.ready, node.taints.len(), node.address("InternalIP")), (false, 1, Some("10.0.0.1")));
    assert_eq!(known.newest_change().unwrap().time.to_string(), "2018-05-24T21:54:01Z");
    let encrypted: Vec<_> = known
        .encrypted
        .iter()
        .map(|kind| (&*kind.resource, &*kind.cipher.provider, &*kind.cipher.key, kind.objects))
        .collect();
    assert_eq!(encrypted, [("configmaps", "aescbc", "key1", 1), ("secrets", "aescbc", "key1", 2)]);
    assert_eq!(known.authorities, []);
    assert_eq!(known.unread.len(), 1);
    assert_eq!(known.unread[0].key, "/registry/configmaps/kube-public/cluster-info");
    assert!(known.service_account_tokens.is_empty());
}
