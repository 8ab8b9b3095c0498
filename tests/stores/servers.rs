//! Real servers on this machine, each on a port of its own, gone when dropped; and a link to them that can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How often a fact is looked for.
const TICK: Duration = Duration::from_millis(50);
/// How long a busy machine is given.
const PATIENCE: Duration = Duration::from_mins(3);

/// Where `tests/stores/setup` put the servers.
pub(crate) fn installed() -> PathBuf {
    let setup = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stores/setup");
    let output = Command::new(setup).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "tests/stores/setup failed");
    String::from_utf8(output.stdout).unwrap().trim().into()
}

/// Waits for a fact.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(TICK);
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A server's process.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts a program that listens on `port`, and waits until it does.
    pub(crate) fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child, port };
        until("the server listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        server
    }

    /// Amazon S3. When `locked`, it accepts only keys that it made, after the four requests that make them.
    pub(crate) fn s3(port: u16, locked: bool) -> Self {
        let mut command = Command::new(installed().join("python/bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        if locked {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", "4");
        }
        Self::start(&mut command, port)
    }

    /// A `WebDAV` server of a folder.
    pub(crate) fn webdav(root: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new(installed().join("python/bin/wsgidav"));
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--auth", "anonymous", "--root"]).arg(root);
        Self::start(&mut command, port)
    }

    /// Google Cloud Storage with what is in a folder: its buckets, and their objects. It asks for no credentials, and
    /// answers only who calls it by the port `called`.
    pub(crate) fn gcs(root: &Path, port: u16, called: u16) -> Self {
        let mut command = Command::new(installed().join("gcs"));
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string()]);
        command.args(["-public-host", &format!("127.0.0.1:{called}"), "-backend", "memory", "-data"]).arg(root);
        Self::start(&mut command, port)
    }

    /// A web server that knows nothing of ranges.
    pub(crate) fn web(root: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new("python3");
        command.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string(), "--directory"]).arg(root);
        Self::start(&mut command, port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Talks to an S3 server as Amazon's own library does; what the script prints.
pub(crate) fn boto(port: u16, script: &str, folder: &Path) -> String {
    let begin = "import boto3, os, sys\n\
                 def client(kind): return boto3.client(kind, endpoint_url=os.environ['URL'], region_name='us-east-1')\n\
                 s3 = client('s3')\n";
    let output = Command::new(installed().join("python/bin/python"))
        .args(["-c", &format!("{begin}{script}")])
        .envs([("AWS_ACCESS_KEY_ID", "writer"), ("AWS_SECRET_ACCESS_KEY", "writer")])
        .env("URL", format!("http://127.0.0.1:{port}"))
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A TCP link to a server: it counts, it stalls after so many bytes, it can be cut.
pub(crate) struct Link {
    pub(crate) port: u16,
    state: Arc<State>,
}

struct State {
    to: u16,
    /// Bytes from the server that may still pass; all of them when it is `u64::MAX`.
    allowance: AtomicU64,
    passed: AtomicU64,
    down: AtomicBool,
    /// Every request's head as it was sent.
    requests: Mutex<String>,
    open: Mutex<Vec<TcpStream>>,
}

impl Link {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            to: port,
            allowance: AtomicU64::new(u64::MAX),
            passed: AtomicU64::new(0),
            down: AtomicBool::new(false),
            requests: Mutex::default(),
            open: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that is down takes no connection; a listener that is there takes it and hangs up.
                if !shared.down.load(Ordering::SeqCst) {
                    shared.join(client);
                }
            }
        });
        Self { port: own, state }
    }

    /// Lets so many more bytes through from the server, and then none.
    pub(crate) fn stall_after(&self, bytes: u64) {
        self.state.allowance.store(bytes, Ordering::SeqCst);
    }

    /// Lets everything through.
    pub(crate) fn free(&self) {
        self.state.allowance.store(u64::MAX, Ordering::SeqCst);
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.state.allowance.load(Ordering::SeqCst) == 0
    }

    /// Ends every connection; while it is down, new ones end at once.
    pub(crate) fn cut(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    pub(crate) fn mend(&self) {
        self.state.down.store(false, Ordering::SeqCst);
    }

    /// Bytes that came from the server.
    pub(crate) fn passed(&self) -> u64 {
        self.state.passed.load(Ordering::SeqCst)
    }

    /// The `Range` headers that were sent.
    pub(crate) fn ranges(&self) -> Vec<String> {
        let requests = self.state.requests.lock().unwrap();
        let lines = requests.lines().map(str::to_ascii_lowercase);
        lines.filter_map(|line| line.strip_prefix("range: ").map(str::to_owned)).collect()
    }
}

impl State {
    fn join(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.to))) else { return };
        self.open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
        let (state, mut from, mut to) = (Arc::clone(self), client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || {
            let mut buffer = [0; 16384];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                state.requests.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            drop(to.shutdown(Shutdown::Write));
        });
        let (state, mut from, mut to) = (Arc::clone(self), server, client);
        thread::spawn(move || {
            let mut buffer = [0; 16384];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if !state.spend(count as u64, &to) || to.write_all(&buffer[..count]).is_err() {
                    break;
                }
                state.passed.fetch_add(count as u64, Ordering::SeqCst);
            }
            drop((to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both)));
        });
    }

    /// Waits until so many bytes may pass; false when the connection is gone meanwhile.
    fn spend(&self, count: u64, client: &TcpStream) -> bool {
        loop {
            let left = self.allowance.load(Ordering::SeqCst);
            if left == u64::MAX {
                return true;
            }
            if left >= count {
                self.allowance.fetch_sub(count, Ordering::SeqCst);
                return true;
            }
            self.allowance.store(0, Ordering::SeqCst);
            if client.peer_addr().is_err() {
                return false;
            }
            thread::sleep(TICK);
        }
    }
}
