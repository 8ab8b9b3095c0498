//! An emulated machine, as a cloud's image makes it.

use std::process::Command;

use super::site::{Site, sh, write_inventory};
use super::support::{ADDRESS, Lab};
use super::{begun, folders, journal_has, kill, sweep, until};

/// An inventory whose drills are made of emulated machines.
fn site() -> Site {
    let lab = Lab::new();
    // Nothing is reached from the machine's own network.
    lab.lab(&["hub", "true"]);
    let image = lab.lab(&["path", "vm"]);
    let provider = format!(
        "[drill.provider.qemu]\nimage = \"{image}/root.qcow2\"\nmemory = \"1GiB\"\n[drill.provider.qemu.boot]\n\
         kernel = \"{image}/vmlinuz\"\ninitrd = \"{image}/initrd\"\n\
         append = \"root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet mitigations=off\"\n"
    );
    let inventory = write_inventory(&lab, &provider);
    Site { lab, inventory }
}

/// No process that was started for it, and none of its files but the console's and the reports.
#[track_caller]
fn leaves_nothing(site: &Site) {
    let state = site.lab.dir.path().display();
    let left = sh(&format!("grep -al '{state}/[^ ]*qemu.pid' /proc/[0-9]*/cmdline 2>/dev/null"));
    assert_eq!(left, "", "processes");
    let left =
        sh(&format!("cd {state}/state/drills && ls -d */disk.qcow2 */seed.img */qemu.* */snapshots 2>/dev/null"));
    assert_eq!(left, "", "files");
}

fn is_started(site: &Site) -> bool {
    let started = |folder: &std::path::PathBuf| folder.join("qemu.pid").exists();
    folders(site).iter().any(started)
}

/// Amid it the machine loses its power: its kernel loses what it had not written, and boots again from what its disk holds.
#[test]
fn vm_a_machine_is_restored_onto_and_taken_away() {
    let site = site();
    let evidence = site.drill(&["--level", "data", "--fault", "reboot-target"], 0);
    let proofs = evidence["proofs"].to_string();
    assert!(proofs.contains("the target lost its power in step `restore-etcd`"), "{proofs}");
    assert_eq!(evidence["verdict"]["outcome"], "passed", "{evidence:#}");
    assert!(evidence["drill"]["isolation"].as_str().expect("words").starts_with("a virtual machine"), "{evidence:#}");
    assert_eq!(site.outputs("drill-verify-data")["expired"], "0");
    leaves_nothing(&site);
    let console = std::fs::read_to_string(site.folder().join("console.log")).expect("the console");
    assert!(console.contains("master login:") || console.contains("cloud-init"), "{console}");
}

/// Killed at any instant; in the end amid the restore, where the machine is looked at before it goes.
#[test]
fn vm_a_killed_drill_leaves_an_isolated_machine_that_is_swept() {
    let site = site();
    for instant in ["drill.json", "seed.img", "qemu.pid"] {
        let mut drctl = begun(&site);
        until(instant, &mut drctl, || folders(&site).iter().any(|folder| folder.join(instant).exists()));
        kill(drctl);
        sweep(&site);
        leaves_nothing(&site);
        for folder in folders(&site) {
            std::fs::remove_dir_all(folder).expect("a drill that is over");
        }
    }

    let mut drctl = begun(&site);
    until("restore-etcd", &mut drctl, || journal_has(&site, "restore-etcd\",\"attempt"));
    kill(drctl);
    assert!(is_started(&site), "the machine still runs");
    let node = site.lab.host("node", "light", "10.77.1.11", &[]);
    let connect = |address: &str| format!("timeout 5 bash -c 'exec 3<>/dev/tcp/{address} && echo open' 2>/dev/null");
    assert_eq!(within_hub(&site, &connect("10.77.1.11/22")), "open\n", "the control: a node of the living cluster");
    assert_eq!(within_machine(&site, &connect("127.0.0.1/22")), "open\n", "the control: its own SSH server");
    assert_eq!(within_machine(&site, &connect("10.77.1.11/22")), "", "a node of the living cluster");
    assert_eq!(within_machine(&site, &connect("10.77.0.1/22")), "", "the controller");
    assert_eq!(
        within_hub(&site, &connect(&format!("{ADDRESS}/22"))),
        "",
        "the machine's address leads nowhere outside"
    );
    assert_eq!(within_machine(&site, "hostname; getent hosts master | cut -d' ' -f1"), format!("master\n{ADDRESS}\n"));
    assert!(within_machine(&site, "ip -o -4 address show dev eth0").contains(&format!(" {ADDRESS}/24 ")));
    node.down();
    sweep(&site);
    leaves_nothing(&site);
}

fn within_hub(site: &Site, script: &str) -> String {
    sh(&format!("nsenter --net={} -- {script}", site.lab.netns().display()))
}

/// Runs a script as root in the machine that a killed drill left.
fn within_machine(site: &Site, script: &str) -> String {
    let folder = site.folder();
    let started = std::fs::read(folder.join("qemu.json")).expect("what it was started with");
    let started: serde_json::Value = serde_json::from_slice(&started).expect("JSON");
    let output = Command::new("nsenter")
        .arg(format!("--net={}", site.lab.netns().display()))
        .args([
            "--",
            "ssh",
            "-q",
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-i",
        ])
        .arg(folder.join("id_ed25519"))
        .args(["-p", &started["port"].to_string(), "root@127.0.0.1", script])
        .output()
        .expect("ssh");
    assert_ne!(output.status.code(), Some(255), "the machine cannot be entered");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
