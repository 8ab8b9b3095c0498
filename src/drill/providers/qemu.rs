//! Virtual machines of QEMU's, over an overlay of a cloud's image: with KVM where that works, emulated elsewhere.

use std::io::{Cursor, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Signal, pidfd_send_signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::spawn_blocking;

use super::{Isolation, Provider, ProviderError, Throwaway};
use crate::drill::link::Way;
use crate::drill::order::{Order, write_private};
use crate::inventory::Size;

/// A virtual machine. The image is never written to: an overlay takes all changes.
///
/// The image has to run cloud-init (`NoCloud`), which gives the machine its name, addresses and keys, and needs an SSH server
/// and what your playbook needs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Qemu {
    /// A disk image as clouds use them: qcow2, raw, or what else `qemu-img` reads.
    pub image: PathBuf,
    /// The size of its disk (default: the image's own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Size>,
    /// Its memory (default `2GiB`).
    #[serde(default = "two_gib", skip_serializing_if = "is_two_gib")]
    pub memory: Size,
    /// Its processors (default 2).
    #[serde(default = "two", skip_serializing_if = "is_two")]
    pub cpus: u16,
    /// What runs its code (default: KVM where it works, else emulation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accel: Option<Accel>,
    /// The program (default: `qemu-system-` and the controller's architecture).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// A kernel that is started without the image's boot loader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// More arguments, such as a firmware. With these, nobody but you can promise that the machine is isolated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

/// What runs a machine's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Accel {
    /// The processor itself.
    Kvm,
    /// Emulation: works everywhere, ten times slower.
    Tcg,
}

/// A kernel that is started directly.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// The kernel.
    pub kernel: PathBuf,
    /// Its initial ramdisk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd: Option<PathBuf>,
    /// Its command line, such as `root=/dev/vda1 console=ttyS0`.
    pub append: String,
}

fn two_gib() -> Size {
    Size::from_gib(2)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_two_gib(size: &Size) -> bool {
    *size == two_gib()
}

fn two() -> u16 {
    2
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_two(count: &u16) -> bool {
    *count == two()
}

const DISK: &str = "disk.qcow2";
const SEED: &str = "seed.img";
const CONSOLE: &str = "console.log";
const PID: &str = "qemu.pid";
/// What the machine was started with, for its next start.
const STARTED: &str = "qemu.json";
/// How cloud-init finds the seed; eleven bytes, as FAT has it.
const LABEL: [u8; 11] = *b"cidata     ";
const SEED_BYTES: usize = 1 << 20;
/// Only this machine is on its network.
const MAC: &str = "52:54:00:64:72:01";
/// The address of a machine whose control plane had none of version 4.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// A port that was free a moment ago may not be any more.
const TRIES: u32 = 3;
/// How often what was just being started is looked for.
const LOOKS: u32 = 10;
/// How many seconds a machine that was killed may take to die.
const DIES_WITHIN: i64 = 30;

/// What a machine was started with.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Started {
    accel: Accel,
    port: u16,
}

/// The machine's own network, in which nothing else is.
#[derive(Debug, PartialEq, Eq)]
struct Network {
    machine: Ipv4Addr,
    gateway: Ipv4Addr,
    resolver: Ipv4Addr,
}

#[async_trait]
impl Provider for Qemu {
    fn label(&self) -> String {
        format!("virtual machine of {}", self.image.display())
    }

    fn isolation(&self) -> Isolation {
        if self.args.is_empty() {
            Isolation::Promised(
                "a virtual machine whose network is one process of the controller: it lets a loopback port in and nothing out"
                    .to_owned(),
            )
        } else {
            Isolation::Unknown
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_mins(5)
    }

    async fn create(&self, order: &Order) -> Result<Throwaway, ProviderError> {
        self.make_disk(order).await?;
        seed(order).map_err(|error| ProviderError::new("write the seed of cloud-init", error))?;
        let started = self.first_start(order).await?;
        let text = serde_json::to_vec(&started).map_err(|error| ProviderError::new("write it down", error))?;
        write_private(&order.dir.join(STARTED), &text)
            .map_err(|error| ProviderError::new(format!("write `{STARTED}`"), error))?;
        Ok(Throwaway {
            way: Way::Tcp { host: "127.0.0.1".to_owned(), port: started.port },
            user: "root".to_owned(),
            host_key: order.host_key.clone(),
        })
    }

    async fn reboot(&self, order: &Order) -> Option<Result<(), ProviderError>> {
        Some(self.start_again(order).await)
    }

    async fn destroy(&self, order: &Order) -> Result<(), ProviderError> {
        end(order).await?;
        for name in [DISK, SEED, STARTED, PID] {
            match std::fs::remove_file(order.dir.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(ProviderError::new(format!("remove `{name}`"), error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn console(&self, order: &Order) -> Option<String> {
        let text = std::fs::read(order.dir.join(CONSOLE)).ok()?;
        super::last_lines(&console::strip_ansi_codes(&String::from_utf8_lossy(&text)))
    }
}

impl Qemu {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        let boot = self.boot.iter_mut().flat_map(|boot| std::iter::once(&mut boot.kernel).chain(&mut boot.initrd));
        std::iter::once(&mut self.image).chain(boot).collect()
    }

    /// The overlay, whose name no other drill has.
    async fn make_disk(&self, order: &Order) -> Result<(), ProviderError> {
        let what = format!("lay a disk over `{}`", self.image.display());
        let image = std::fs::canonicalize(&self.image).map_err(|error| ProviderError::new(&what, error))?;
        let mut info = tokio::process::Command::new("qemu-img");
        info.args(["info", "--force-share", "--output=json"]).arg(&image);
        let about: serde_json::Value =
            serde_json::from_slice(&run(&mut info, &what).await?).map_err(|error| ProviderError::new(&what, error))?;
        let format = about["format"].as_str().unwrap_or("raw");
        let mut create = tokio::process::Command::new("qemu-img");
        create.args(["create", "-q", "-f", "qcow2", "-F", format, "-b"]).arg(&image).arg(order.dir.join(DISK));
        create.args(self.disk.map(|size| size.bytes().to_string()));
        run(&mut create, &what).await.map(drop)
    }

    /// KVM may be there and not work, which shows when a machine is started.
    async fn first_start(&self, order: &Order) -> Result<Started, ProviderError> {
        let accel = match self.accel {
            Some(accel) => accel,
            None if std::fs::File::options().read(true).write(true).open("/dev/kvm").is_err() => Accel::Tcg,
            None => match self.started_somewhere(order, Accel::Kvm).await {
                Err(error) => {
                    tracing::debug!(%error, "KVM does not work here");
                    Accel::Tcg
                }
                started => return started,
            },
        };
        self.started_somewhere(order, accel).await
    }

    /// On a port that is free.
    async fn started_somewhere(&self, order: &Order, accel: Accel) -> Result<Started, ProviderError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
            let port = free.map_err(|error| ProviderError::new("find a free port", error))?.port();
            let started = Started { accel, port };
            match self.start(order, started).await {
                Ok(()) => return Ok(started),
                Err(error) if tries < TRIES && error.reason.contains("host forwarding") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns when it runs, as a process that belongs to nobody.
    async fn start(&self, order: &Order, started: Started) -> Result<(), ProviderError> {
        let program = self.program.clone().unwrap_or_else(|| format!("qemu-system-{}", std::env::consts::ARCH));
        let mut qemu = tokio::process::Command::new(&program);
        qemu.args(self.arguments(order, started)).args(&self.args).current_dir(&order.dir);
        run(&mut qemu, "start the virtual machine").await.map(drop)
    }

    fn arguments(&self, order: &Order, started: Started) -> Vec<String> {
        let network = Network::of(order);
        let disk = |node: &str, driver: &str, name: &str, read_only: bool| {
            let path = order.dir.join(name);
            let file = json!({ "driver": "file", "filename": path, "read-only": read_only });
            json!({ "driver": driver, "node-name": node, "read-only": read_only, "file": file }).to_string()
        };
        let mut words: Vec<String> = Vec::new();
        let mut say = |key: &str, value: String| words.extend([key.to_owned(), value]);
        say("-name", format!("drctl-drill-{}", order.id));
        say("-pidfile", order.dir.join(PID).display().to_string());
        say("-machine", if cfg!(target_arch = "aarch64") { "virt" } else { "q35" }.to_owned());
        say("-accel", if started.accel == Accel::Kvm { "kvm" } else { "tcg,thread=multi" }.to_owned());
        say("-cpu", "max".to_owned());
        say("-smp", self.cpus.to_string());
        say("-m", format!("{}M", self.memory.bytes() >> 20));
        say("-display", "none".to_owned());
        // Relative: a comma in a path would end it.
        say("-chardev", format!("file,id=console,path={CONSOLE},append=on"));
        say("-serial", "chardev:console".to_owned());
        say("-blockdev", disk("disk", "qcow2", DISK, false));
        say("-device", "virtio-blk-pci,drive=disk".to_owned());
        say("-blockdev", disk("seed", "raw", SEED, true));
        say("-device", "virtio-blk-pci,drive=seed".to_owned());
        say("-device", "virtio-rng-pci".to_owned());
        say("-netdev", network.described(started.port));
        say("-device", format!("virtio-net-pci,netdev=net,mac={MAC},romfile="));
        if let Some(boot) = &self.boot {
            say("-kernel", boot.kernel.display().to_string());
            say("-append", boot.append.clone());
            boot.initrd.iter().for_each(|initrd| say("-initrd", initrd.display().to_string()));
        }
        words.extend(["-nodefaults", "-no-user-config", "-daemonize"].map(str::to_owned));
        words
    }

    async fn start_again(&self, order: &Order) -> Result<(), ProviderError> {
        let read = || serde_json::from_slice(&std::fs::read(order.dir.join(STARTED))?).map_err(std::io::Error::from);
        let started: Started = read().map_err(|error| ProviderError::new(format!("read `{STARTED}`"), error))?;
        end(order).await?;
        self.start(order, started).await
    }
}

impl Network {
    /// It is that of the lost control plane, as far as the first 24 bits say.
    fn of(order: &Order) -> Self {
        let version_4 = |address: &IpAddr| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        };
        let machine = order.addresses.iter().find_map(version_4).unwrap_or(ADDRESS);
        let [a, b, c, _] = machine.octets();
        let taken = |address: &Ipv4Addr| order.addresses.contains(&IpAddr::V4(*address)) || *address == machine;
        let mut free = (1..=250).map(|last| Ipv4Addr::new(a, b, c, last)).filter(|address| !taken(address));
        // An order has a handful of addresses.
        let mut next = || free.next().unwrap_or(Ipv4Addr::new(a, b, c, 254));
        Self { machine, gateway: next(), resolver: next() }
    }

    /// For `-netdev`. The gateway forwards nothing, and whoever asks for an address is given the machine's.
    fn described(&self, port: u16) -> String {
        let Self { machine, gateway, resolver } = self;
        format!(
            "user,id=net,restrict=on,ipv6=off,net={gateway}/24,host={gateway},dns={resolver},dhcpstart={machine},\
             hostfwd=tcp:127.0.0.1:{port}-{machine}:22"
        )
    }

    /// For cloud-init.
    fn config(&self, addresses: &[IpAddr]) -> serde_json::Value {
        let other = |address: &&IpAddr| **address != IpAddr::V4(self.machine);
        let others = addresses.iter().filter(other);
        let others = others.map(|address| format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }));
        let all: Vec<String> = std::iter::once(format!("{}/24", self.machine)).chain(others).collect();
        json!({
            "version": 2,
            "ethernets": { "eth0": {
                "match": { "macaddress": MAC },
                "set-name": "eth0",
                "addresses": all,
                "routes": [{ "to": "0.0.0.0/0", "via": self.gateway }],
            } },
        })
    }
}

/// The volume that cloud-init reads. JSON is YAML, too, and needs no quoting.
fn seed(order: &Order) -> std::io::Result<()> {
    let id = format!("drctl-drill-{}", order.id);
    let hosts = order.names.iter().map(|(name, address)| format!("{address} {name}\n"));
    let hosts: String = std::iter::once("127.0.0.1 localhost\n::1 localhost\n".to_owned()).chain(hosts).collect();
    let user = json!({
        "fqdn": order.hostname,
        "prefer_fqdn_over_hostname": true,
        "preserve_hostname": false,
        "manage_etc_hosts": false,
        "disable_root": false,
        "ssh_authorized_keys": [order.public_key],
        "ssh_deletekeys": true,
        "ssh_keys": { "ed25519_private": std::fs::read_to_string(order.host_key_file())? },
        "write_files": [{ "path": "/etc/hosts", "content": hosts, "permissions": "0644" }],
        "growpart": { "mode": "auto" },
    });
    let files = [
        ("meta-data", json!({ "instance-id": id, "local-hostname": order.hostname }).to_string()),
        ("user-data", format!("#cloud-config\n{user}\n")),
        ("network-config", Network::of(order).config(&order.addresses).to_string()),
    ];
    write_private(&order.dir.join(SEED), &volume(&files)?)
}

fn volume(files: &[(&str, String)]) -> std::io::Result<Vec<u8>> {
    let mut disk = Cursor::new(vec![0; SEED_BYTES]);
    fatfs::format_volume(&mut disk, FormatVolumeOptions::new().volume_label(LABEL))?;
    let system = FileSystem::new(&mut disk, FsOptions::new())?;
    for (name, text) in files {
        let mut file = system.root_dir().create_file(name)?;
        file.write_all(text.as_bytes())?;
        file.flush()?;
    }
    system.unmount()?;
    Ok(disk.into_inner())
}

/// Ends the machine, as a power cut does.
async fn end(order: &Order) -> Result<(), ProviderError> {
    let failed = |error: std::io::Error| ProviderError::new("end the virtual machine", error);
    let endless = || failed(std::io::Error::other("its process does not end"));
    // One that was just being started may have been overlooked.
    for _ in 0..LOOKS {
        let killed = kill_all(order).map_err(failed)?;
        if killed.is_empty() {
            return Ok(());
        }
        let died = spawn_blocking(move || have_died(&killed)).await;
        if !died.map_err(std::io::Error::other).flatten().map_err(failed)? {
            return Err(endless());
        }
    }
    Err(endless())
}

/// Waits for the end of each. What dies has lost its name before its files, and the next machine wants those.
fn have_died(processes: &[OwnedFd]) -> std::io::Result<bool> {
    let limit = Timespec { tv_sec: DIES_WITHIN, tv_nsec: 0 };
    for process in processes {
        if retry_on_intr(|| poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)))? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Kills what was told to write the pid file, and what makes the disk; answers what there was.
fn kill_all(order: &Order) -> std::io::Result<Vec<OwnedFd>> {
    let [pid_file, disk] = [PID, DISK].map(|name| order.dir.join(name).display().to_string());
    let processes = super::started_with(|words| {
        let makes_disk =
            words.contains(&disk.as_bytes()) && words.first().is_some_and(|word| word.ends_with(b"qemu-img"));
        makes_disk || words.windows(2).any(|pair| pair == [b"-pidfile", pid_file.as_bytes()])
    })?;
    for process in &processes {
        match pidfd_send_signal(process, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(processes)
}

/// Runs one of QEMU's programs to its end.
async fn run(command: &mut tokio::process::Command, what: &str) -> Result<Vec<u8>, ProviderError> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ProviderError::new(
            what,
            format!(
                "the program `{program}` is not on this machine: install QEMU (Debian: qemu-system-x86, qemu-utils)"
            ),
        ),
        _ => ProviderError::new(what, format!("`{program}`: {error}")),
    })?;
    super::of_output(output, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn order(addresses: &[&str]) -> Order {
        Order {
            id: "prod-1".to_owned(),
            cluster: "prod".to_owned(),
            hostname: "master".to_owned(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            names: std::collections::BTreeMap::new(),
            public_key: String::new(),
            host_key: String::new(),
            dir: PathBuf::from("/drills/prod-1"),
            shared: PathBuf::from("/drills/shared"),
        }
    }

    #[test]
    fn its_network_is_that_of_the_control_plane_and_nobody_else_has_its_addresses() {
        let network = Network::of(&order(&["fd00::1", "10.77.0.2", "10.77.0.1"]));
        let [machine, gateway, resolver] = ["10.77.0.2", "10.77.0.3", "10.77.0.4"].map(|text| text.parse().unwrap());
        assert_eq!(network, Network { machine, gateway, resolver });
        let config = network.config(&order(&["fd00::1", "10.77.0.2", "10.77.0.1"]).addresses);
        assert_eq!(config["ethernets"]["eth0"]["addresses"], json!(["10.77.0.2/24", "fd00::1/128", "10.77.0.1/32"]));
        assert_eq!(Network::of(&order(&["fd00::1"])).machine, ADDRESS);
    }

    #[test]
    fn the_seed_is_a_volume_with_a_label_and_three_files() {
        let long = "x".repeat(100_000);
        let bytes = volume(&[("user-data", long.clone()), ("network-config", "n".to_owned())]).unwrap();
        let system = FileSystem::new(Cursor::new(bytes), FsOptions::new()).unwrap();
        assert_eq!(system.read_volume_label_from_root_dir().unwrap().as_deref(), Some("cidata"));
        let (mut first, mut second) = (String::new(), String::new());
        system.root_dir().open_file("user-data").unwrap().read_to_string(&mut first).unwrap();
        system.root_dir().open_file("network-config").unwrap().read_to_string(&mut second).unwrap();
        assert_eq!((first, second.as_str()), (long, "n"));
    }

    /// What stands for QEMU here is told to write the pid file, too, and holds it locked.
    #[tokio::test]
    async fn a_machine_that_was_ended_holds_its_files_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let order = Order { dir: dir.path().to_owned(), ..order(&["10.77.0.10"]) };
        let script = "exec 9>\"$2\"; flock 9; echo; while :; do sleep 1 9>&- >/dev/null 2>&1; done";
        let mut machine = std::process::Command::new("sh")
            .args(["-c", script, "sh", "-pidfile"])
            .arg(dir.path().join(PID))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        machine.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let file = std::fs::File::open(dir.path().join(PID)).unwrap();
        assert!(file.try_lock().is_err(), "it is locked");
        end(&order).await.unwrap();
        file.try_lock().unwrap();
        machine.wait().unwrap();
    }

    #[test]
    fn the_network_lets_nothing_out() {
        let qemu: Qemu = toml::from_str("image = 'x'").unwrap();
        let words = qemu.arguments(&order(&["10.77.0.10"]), Started { accel: Accel::Tcg, port: 5000 });
        let network = words.iter().skip_while(|word| *word != "-netdev").nth(1).unwrap();
        assert_eq!(
            network,
            "user,id=net,restrict=on,ipv6=off,net=10.77.0.1/24,host=10.77.0.1,dns=10.77.0.2,dhcpstart=10.77.0.10,\
             hostfwd=tcp:127.0.0.1:5000-10.77.0.10:22"
        );
        assert_eq!(words.iter().filter(|word| *word == "-netdev").count(), 1);
        assert!(words.contains(&"-nodefaults".to_owned()));
        assert_ne!(qemu.isolation(), Isolation::Unknown);
        assert_eq!(Qemu { args: vec!["-nic".to_owned()], ..qemu }.isolation(), Isolation::Unknown);
    }
}
