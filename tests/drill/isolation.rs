//! A drill can neither touch, nor answer for, nor be reached by the living cluster.

use std::time::Duration;

use super::site::{Root, Site, sh, write_inventory};
use super::support::{ADDRESS, Lab};

/// The living control plane has the very address that the drill's target has: not a packet reaches it, and its fencing
/// command is not run. That no name server tells a name of it there is no fault of the drill's.
#[test]
fn production_with_the_same_address_hears_nothing() {
    let site = Site::new(Root::Light, "");
    let text = std::fs::read_to_string(&site.inventory).expect("the inventory");
    let named = "[fencing]\nmust_not_answer = [\"standby.prod.test:6443\"]\n";
    std::fs::write(&site.inventory, text.replace("[fencing]\n", named)).expect("another inventory");
    let production = site.lab.host("production", "light", ADDRESS, &[]);
    // Connections, refused ones too, pings and datagrams; not what belongs to the end of the lab's own connection.
    let received = || {
        production.sh(
            "awk '{ if (!($1 in names)) names[$1] = $0; else { split(names[$1], name); for (i = 2; i <= NF; i++)
                 if ($1 name[i] ~ /^(Tcp:(PassiveOpens|OutRsts)|Udp:(InDatagrams|NoPorts)|Icmp:InMsgs)$/) print $1 name[i], $i } }' \
             /proc/net/snmp",
        )
    };
    // The lab's own look whether sshd is up has to be over: its last packet would be counted.
    while production.sh("cat /proc/net/tcp").lines().skip(1).any(is_open) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = received();
    let evidence = site.drill(&[], 0);
    assert_eq!(received(), before, "what reached production");
    assert!(!site.lab.dir.path().join("fenced").exists(), "the fencing command would switch production off");
    let proofs = evidence["proofs"].to_string();
    assert!(proofs.contains("Production is out of reach"), "{proofs}");
}

/// From within: nothing outside answers; from outside: the target is not there. The controls show that the test can tell.
#[test]
fn no_way_leads_out_of_the_target_or_to_it() {
    let site = Site::new(Root::Light, "");
    let node = site.lab.host("node", "light", "10.77.0.11", &[]);
    site.drill(&["--keep"], 0);
    let init = std::fs::read_to_string(site.folder().join("init")).expect("the pid of process 1");
    let from_target = |address: &str| sh(&format!("nsenter -t {} -n {}", init.trim(), connect(address)));
    assert_eq!(from_target("127.0.0.1/22022"), "open\n", "the control: its own SSH server");
    assert_eq!(from_target("10.77.0.11/22"), "", "a node of the living cluster");
    assert_eq!(from_target("10.77.0.1/22"), "", "the controller's side");
    let from_controller =
        |address: &str| sh(&format!("nsenter --net={} {}", site.lab.netns().display(), connect(address)));
    assert_eq!(from_controller("10.77.0.11/22"), "open\n", "the control: the node");
    assert_eq!(from_controller(&format!("{ADDRESS}/22022")), "", "the target");
    assert_eq!(
        sh(&format!("nsenter -t {} -n ip -o link | wc -l", init.trim())),
        "3\n",
        "lo and the two ends of one cable"
    );
    node.down();
    site.lab.drctl(&["drill", "sweep"]).expect(0);
    site.leaves_nothing();
}

/// A provider that promises nothing is refused, unless the owner says that it is isolated; and when it is not, the checks
/// see it before a byte changes.
#[test]
fn a_target_that_reaches_production_is_refused() {
    let lab = Lab::new();
    lab.lab(&["hub", "true"]);
    let production = lab.host("production", "light", ADDRESS, &[]);
    let target = lab.host("target", "light", "10.77.0.12", &[]);
    let create = lab.write("create", super::command::create(&lab, "target"));
    let provider = format!("[drill.provider.command]\ncreate = [\"sh\", \"{create}\"]\ndestroy = [\"true\"]\n");
    let inventory = write_inventory(&lab, &provider);
    let said = lab.drctl(&["drill", "--inventory", &inventory]).expect(2).stderr;
    assert!(said.contains("nobody promises that a target of"), "{said}");
    // Production's sshd stands for its API server.
    let text = std::fs::read_to_string(&inventory).expect("the inventory").replace(":6443", ":22");
    let inventory = lab.write("isolated.toml", text.replace("[drill]\n", "[drill]\nisolated = \"by me\"\n"));
    let before = target.tree(&["/etc/kubernetes", "/var/lib/etcd", "/var/lib/drctl"]);
    let ran = lab.drctl(&["drill", "--inventory", &inventory]).expect(3);
    assert!(ran.stderr.contains("as the target sees it, something answers at 10.77.0.10:22"), "{}", ran.stderr);
    assert_eq!(target.tree(&["/etc/kubernetes", "/var/lib/etcd", "/var/lib/drctl"]), before);
    drop(production);
}

/// A line of `/proc/net/tcp` whose connection may bring packets still: all but `TIME_WAIT` and `LISTEN`.
fn is_open(line: &str) -> bool {
    let state = line.split_whitespace().nth(3).expect("a state");
    !matches!(state, "06" | "0A")
}

/// A script that says `open` when a connection is accepted.
fn connect(address: &str) -> String {
    format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{address} && echo open' 2>/dev/null")
}
