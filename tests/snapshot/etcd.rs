//! A real etcd on the loopback interface, in a folder that is thrown away.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use etcd_client::Client;
use tempfile::TempDir;

/// The programs of one version.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    folder: PathBuf,
}

pub(crate) struct Etcd {
    programs: Programs,
    server: Child,
    endpoint: String,
    pub(crate) data: TempDir,
}

impl Programs {
    /// Every version at hand: those of the lab, or else the one in `PATH`.
    pub(crate) fn all() -> Vec<Self> {
        let lab = std::env::var_os("DRCTL_LAB_CACHE").unwrap_or_else(|| "/var/cache/drctl-lab".into());
        let parts = std::fs::read_dir(Path::new(&lab).join("parts")).into_iter().flatten();
        let mut all: Vec<_> = parts
            .map(|part| Self { folder: part.unwrap().path() })
            .filter(|programs| programs.program("etcd").exists() && programs.program("etcdctl").exists())
            .collect();
        if all.is_empty() {
            let path = std::env::var_os("PATH").unwrap();
            all.extend(
                std::env::split_paths(&path)
                    .map(|folder| Self { folder })
                    .find(|programs| programs.program("etcd").exists()),
            );
        }
        assert!(
            !all.is_empty(),
            "these tests need etcd: `tests/lab/lab setup`, or `apt-get install etcd-server etcd-client`"
        );
        all.sort_by(|one, other| one.folder.cmp(&other.folder));
        all
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs a tool of this version; its standard output.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(self.program(name));
        let output = command.env("ETCDCTL_API", "3").args(arguments).output().unwrap();
        assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.program(name).exists()
    }
}

impl Etcd {
    pub(crate) fn start(programs: &Programs) -> Self {
        Self::start_on(programs, TempDir::new().unwrap())
    }

    /// On a data folder that may hold data.
    pub(crate) fn start_on(programs: &Programs, data: TempDir) -> Self {
        let [endpoint, peer] = [free_port(), free_port()].map(|port| format!("http://127.0.0.1:{port}"));
        let server = Command::new(programs.program("etcd"))
            .arg("--data-dir")
            .arg(data.path())
            .args(["--name", "node1", "--initial-cluster", &format!("node1={peer}")])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--listen-client-urls", &endpoint, "--advertise-client-urls", &endpoint])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { programs: programs.clone(), server, endpoint, data }
    }

    /// A client, as soon as the server answers it.
    pub(crate) async fn client(&self) -> Client {
        for _ in 0..200 {
            if let Ok(mut client) = Client::connect([&self.endpoint], None).await
                && client.get("ready?", None).await.is_ok()
            {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("etcd does not answer at {}", self.endpoint);
    }

    pub(crate) fn save(&self, path: &Path) {
        self.programs.run("etcdctl", &["--endpoints", &self.endpoint, "snapshot", "save", path.to_str().unwrap()]);
    }

    /// Stops the server and gives its data folder.
    pub(crate) fn stop(mut self) -> TempDir {
        self.kill();
        std::mem::replace(&mut self.data, TempDir::new().unwrap())
    }

    fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
