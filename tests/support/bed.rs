//! Snapshots of a real etcd, a procedure without kubeadm that ends with a running etcd, and what etcd serves.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{ADDRESS, Host, Lab, Ran};

/// All that the procedure may touch.
pub(crate) const TOUCHED: [&str; 2] = ["/etc/kubernetes", "/var/lib/etcd"];
/// By how much a restore raises the revision.
const BUMP: i64 = 1_000_000_000;

/// A snapshot, and what its etcd served.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The folder on the controller that holds it alone.
    pub(crate) folder: PathBuf,
    /// etcd's minor version.
    pub(crate) version: &'static str,
    pub(crate) contents: String,
    pub(crate) revision: i64,
}

/// Every key with its value, lease and revisions, as a digest, and how many there are.
pub(crate) fn contents(host: &Host<'_>, etcdctl: &str) -> String {
    host.sh(&format!(
        "{etcdctl} get '' --prefix --write-out=fields >/tmp/contents
         grep -c '^\"Key\"' /tmp/contents
         grep -v -e '^\"ClusterID\"' -e '^\"MemberID\"' -e '^\"Revision\"' -e '^\"RaftTerm\"' /tmp/contents | sha256sum
         rm /tmp/contents"
    ))
}

fn revision(host: &Host<'_>, etcdctl: &str) -> i64 {
    let status = host.sh(&format!("{etcdctl} endpoint status --write-out=json"));
    let status: serde_json::Value = serde_json::from_str(&status).expect("etcd's status");
    status[0]["Status"]["header"]["revision"].as_i64().expect("a revision")
}

/// etcd on loopback as a daemon that leaves what started it: a job ends with its own process group, which the daemon must
/// have left by then, and counts as running while anything holds its lock (file 9).
pub(crate) fn daemon(version: &str, options: &str) -> String {
    format!(
        "setsid -f /opt/etcd-{version}/etcd --data-dir /var/lib/etcd --logger zap --listen-peer-urls http://127.0.0.1:2380 \
         {options} </dev/null >>/var/log/etcd.log 2>&1 9>&-
         n=0; until pidof etcd >/dev/null || [ $n = 100 ]; do n=$((n + 1)); sleep 0.05; done"
    )
}

pub(crate) const PLAIN: &str =
    "--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379";

/// A name as kubeadm's users give it to a snapshot that is taken now.
pub(crate) fn name_of_now(host: &Host<'_>) -> String {
    format!("etcd-snapshot-{}_UTC.db", host.sh("date -u +%Y-%m-%d_%H:%M:%S").trim())
}

impl Origin {
    /// Some keys that were changed and deleted, and a lease. `more` may put others.
    pub(crate) fn new(lab: &Lab, version: &'static str, more: &str) -> Self {
        let host = lab.host("origin", "light", "10.77.0.30", &["--etcd", version]);
        host.sh(&daemon(version, PLAIN));
        let etcdctl = "ETCDCTL_API=3 etcdctl";
        host.sh(&format!(
            "set -e; export ETCDCTL_API=3
             n=0; until etcdctl put /registry/first 1 2>/dev/null; do n=$((n + 1)); [ $n -lt 50 ]; sleep 0.1; done
             for k in 1 2 3 4 5 6 7 8; do head -c 3000 /dev/urandom | etcdctl put \"/registry/a key/$k\"; done
             etcdctl put /registry/first 2; etcdctl del '/registry/a key/3'
             lease=$(etcdctl lease grant 100000 | cut -d' ' -f2); etcdctl put --lease=$lease /registry/leased yes
             {more}
             etcdctl snapshot save /root/snapshot.db"
        ));
        let folder = lab.dir.path().join("snapshots");
        std::fs::create_dir_all(&folder).expect("a folder for the snapshot");
        let saved = format!("{}/root/snapshot.db", host.field("upper"));
        std::fs::copy(saved, folder.join(name_of_now(&host))).expect("the snapshot");
        let origin = Self { folder, version, contents: contents(&host, etcdctl), revision: revision(&host, etcdctl) };
        host.down();
        origin
    }

    /// The snapshot's file.
    pub(crate) fn file(&self) -> PathBuf {
        std::fs::read_dir(&self.folder).expect("the folder").next().expect("a snapshot").expect("its name").path()
    }

    /// `[[snapshots]]` of an inventory.
    pub(crate) fn source(&self) -> String {
        format!("[[snapshots]]\nfolder.path = \"{}\"\n", self.folder.display())
    }

    /// The host's etcd serves the snapshot's data, as the member that kubeadm will look for.
    #[track_caller]
    pub(crate) fn is_served(&self, host: &Host<'_>, bumped: bool) {
        self.is_served_to(host, bumped, &format!("ETCDCTL_API=3 /opt/etcd-{}/etcdctl", self.version));
    }

    #[track_caller]
    pub(crate) fn is_served_to(&self, host: &Host<'_>, bumped: bool, etcdctl: &str) {
        assert_eq!(contents(host, etcdctl), self.contents, "every key, value and revision is as it was");
        let raised = revision(host, etcdctl) - self.revision;
        // The proof writes a key and deletes it.
        assert_eq!(raised, if bumped { BUMP } else { 0 } + 2, "the revision grew by this");
        let members = host.sh(&format!("{etcdctl} member list"));
        assert!(members.contains(&format!(", started, master, https://{ADDRESS}:2380, ")), "{members}");
        assert_eq!(members.lines().count(), 1, "{members}");
        let watch = host.try_sh(&format!("{etcdctl} get /registry/first --rev={}", self.revision));
        assert_eq!(watch.status.success(), !bumped, "old revisions are told to be gone, where the program can do that");
        let modes = host.sh("cd /var/lib/etcd && stat -c '%n %a %U:%G' . member member/snap member/wal");
        let private = ". 700 root:root\nmember 700 root:root\nmember/snap 700 root:root\nmember/wal 700 root:root\n";
        assert_eq!(modes, private);
    }
}

/// An inventory and a playbook for a light host.
#[derive(Debug)]
pub(crate) struct Procedure {
    /// `become` and more of `[target]`.
    pub(crate) target: String,
    /// More of `[cluster]`.
    pub(crate) cluster: String,
    /// More of the step `restore-etcd`.
    pub(crate) engine: String,
    /// How etcd is started.
    pub(crate) start: String,
    /// How `verify_etcd` reaches it, and what is to be placed for that.
    pub(crate) verify: String,
    pub(crate) places: String,
}

impl Procedure {
    pub(crate) fn new(version: &str) -> Self {
        Self {
            target: String::new(),
            cluster: String::new(),
            engine: String::new(),
            start: daemon(version, &format!("--name master {PLAIN}")),
            verify: "tls = false".to_owned(),
            places: String::new(),
        }
    }

    /// With certificates, as kubeadm's etcd has them.
    pub(crate) fn with_certificates(version: &str, folder: &str) -> Self {
        let pki = "/etc/kubernetes/pki/etcd";
        let mut places = String::new();
        for name in ["ca.crt", "server.crt", "server.key", "healthcheck-client.crt", "healthcheck-client.key"] {
            let step = name.replace('.', "-");
            write!(
                places,
                "[[step]]\nname = \"etcd-{step}\"\naction = \"place_file\"\nsource = \"{folder}/{name}\"\nto = \"{pki}/{name}\"\nmode = \"0600\"\n\n"
            )
            .expect("a string grows");
        }
        let options = format!(
            "--name master --listen-client-urls https://127.0.0.1:2379 --advertise-client-urls https://127.0.0.1:2379 \
             --cert-file {pki}/server.crt --key-file {pki}/server.key --trusted-ca-file {pki}/ca.crt --client-cert-auth"
        );
        Self { start: daemon(version, &options), verify: String::new(), places, ..Self::new(version) }
    }

    /// The arguments of `drctl restore`.
    pub(crate) fn write(&self, lab: &Lab, host: &Host<'_>, user: &str, sources: &str) -> [String; 6] {
        let backup = lab.backup();
        let inventory = format!(
            "[cluster]\nname = \"light\"\nendpoint = \"{ADDRESS}:6443\"\nnode_name = \"master\"\n{}\n{}{}\n{sources}\n\
             [pki]\ndir = \"{}/pki\"\n",
            self.cluster,
            host.target(user),
            self.target,
            backup.display(),
        );
        let inventory = lab.write("light.toml", inventory);
        let playbook = lab.write("playbook.toml", self.playbook());
        ["restore", "--yes", "--inventory", &inventory, "--playbook", &playbook].map(str::to_owned)
    }

    fn playbook(&self) -> String {
        format!(
            r#"
name = "light"
description = "etcd alone"

[[step]]
name = "fence"
action = "fence"
quiet_for = "0s"

[[step]]
name = "fetch-snapshot"
action = "fetch_snapshot"

[[step]]
name = "ca-crt"
action = "place_file"
pki = "ca.crt"
to = "/etc/kubernetes/pki/ca.crt"
mode = "0644"

[[step]]
name = "ca-key"
action = "place_file"
pki = "ca.key"
to = "/etc/kubernetes/pki/ca.key"
mode = "0600"

{places}[[step]]
name = "restore-etcd"
action = "restore_etcd"
snapshot = "${{step.fetch-snapshot.path}}"
{engine}

[[step]]
name = "start-etcd"
action = "command"
run = '''{start}'''
verify = "pidof etcd"
undo = '''for p in $$(pidof etcd); do kill $$p; while [ -e /proc/$$p/fd/1 ]; do sleep 0.05; done; done'''

[[step]]
name = "etcd-up"
action = "wait_for"
tcp = "127.0.0.1:2379"
every = "100ms"
timeout = "30s"

[[step]]
name = "verify-etcd"
action = "verify_etcd"
{verify}
"#,
            places = self.places,
            engine = self.engine,
            start = self.start.replace('$', "$$"),
            verify = self.verify,
        )
    }
}

/// The engine that restored, as the journal has it. The run wrote JSON.
pub(crate) fn engine(ran: &Ran) -> String {
    events(ran)
        .find(|data| data["event"] == "step_done" && data["step"] == "restore-etcd")
        .and_then(|data| data["outputs"]["engine"].as_str().map(str::to_owned))
        .expect("the step's outputs")
}

/// What the journal got, and what was shown.
pub(crate) fn events(ran: &Ran) -> impl Iterator<Item = serde_json::Value> {
    let lines = ran.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON"));
    lines.map(|mut line| line["data"].take())
}

/// Certificates of an etcd at 127.0.0.1 with a CA of its own; their folder.
pub(crate) fn certificates(lab: &Lab) -> String {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::new([]).expect("a CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    lab.write("certificates/ca.crt", ca.self_signed(&ca_key).expect("a CA").pem());
    let issuer = Issuer::new(ca, ca_key);
    for name in ["server", "healthcheck-client"] {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a certificate");
        let certificate = certificate.signed_by(&key, &issuer).expect("a certificate");
        lab.write(&format!("certificates/{name}.crt"), certificate.pem());
        lab.write(&format!("certificates/{name}.key"), key.serialize_pem());
    }
    lab.dir.path().join("certificates").display().to_string()
}

/// `&[String]` as drctl's arguments.
pub(crate) fn words<'a>(args: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    args.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

/// A file of the lab's cache that is made once, by whoever comes first.
pub(crate) fn cached(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let cache = std::env::var_os("DRCTL_LAB_CACHE").unwrap_or_else(|| "/var/cache/drctl-lab".into());
    let folder = PathBuf::from(cache).join("snapshots");
    std::fs::create_dir_all(&folder).expect("the lab's cache");
    let lock = std::fs::File::create(folder.join(".lock")).expect("a lock");
    lock.lock().expect("the lock");
    let path = folder.join(name);
    if !path.exists() {
        let new = folder.join(format!("{name}.new"));
        make(&new);
        std::fs::rename(&new, &path).expect("the file gets its name");
    }
    path
}
