//! Many drills, and regularly: every inventory of a folder with one table and one exit code, and what starts them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::site::{Root, Site, sh};
use super::support::{DRCTL, Lab};

/// A folder with an inventory for each of these: its name, the cluster's, and what becomes of the lab's inventory.
fn folder(site: &Site, inventories: &[(&str, &dyn Fn(String) -> String)]) -> String {
    let text = std::fs::read_to_string(&site.inventory).expect("the inventory");
    for (name, change) in inventories {
        let text = text.replace("name = \"prod\"", &format!("name = \"{name}\""));
        site.lab.write(&format!("clusters/{name}.toml"), change(text));
    }
    site.lab.write("clusters/README", "no inventory");
    site.lab.dir.path().join("clusters").display().to_string()
}

fn drills(stdout: &str) -> Value {
    let mut lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.next_back().filter(|line| line["kind"] == "drills").expect("the last line").clone()["data"].take()
}

/// Waits until the first is.
fn a_target_is_made(site: &Site) {
    let until = Instant::now() + Duration::from_mins(1);
    let records = format!("{}/*/drill.json", site.lab.dir.path().join("state/drills").display());
    while sh(&format!("grep -l '\"target\": \"created\"' {records} 2>/dev/null")).is_empty() {
        assert!(Instant::now() < until, "no target is made");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn nothing_is_left(site: &Site) {
    let state = site.lab.dir.path().join("state");
    assert_eq!(sh(&format!("grep -F '{}' /proc/self/mounts", state.display())), "");
    let listed = site.lab.drctl(&["drill", "list"]).expect(0).stdout;
    assert!(!listed.contains("LEFT"), "{listed}");
}

/// Two of one address at once disturb nobody; each has its row, and the worst decides.
#[test]
fn every_inventory_of_a_folder_is_rehearsed() {
    let site = Site::new(Root::Light, "rto = \"10m\"\n");
    let same = |text: String| text;
    let dir = folder(&site, &[("east", &same), ("west", &same)]);
    let ran = site.lab.drctl(&["drill", "--all", &dir, "--parallel", "2", "--output", "json"]).expect(0);
    let told = drills(&ran.stdout);
    assert_eq!(told["exit"], 0);
    let rows = told["drills"].as_array().expect("rows");
    let field = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("cluster"), ["east", "west"]);
    assert_eq!(field("verdict"), ["passed", "passed"]);
    assert_eq!(field("level"), ["data", "data"]);
    assert_eq!(field("rto_limit_seconds"), [600.0, 600.0]);
    let reports: Vec<Value> = field("report")
        .iter()
        .map(|report| Path::new(report.as_str().expect("a path")).with_extension("json"))
        .map(|path| serde_json::from_slice(&std::fs::read(path).expect("the report")).expect("JSON"))
        .collect();
    let times =
        |at: usize, name: &str| reports[at][name].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
    assert!(times(0, "begun") < times(1, "ended") && times(1, "begun") < times(0, "ended"), "both at once");
    nothing_is_left(&site);

    let strict = |text: String| text.replace("rto = \"10m\"", "rto = \"1ms\"");
    let provider = |text: String| text.split("[drill").next().expect("its beginning").to_owned();
    let no_snapshot = |text: String| text.replace("/snapshots\"", "/pki\"");
    let broken = |text: String| text.replace("[cluster]", "[clusters]");
    let dir = folder(&site, &[("alien", &broken), ("bare", &provider), ("empty", &no_snapshot), ("late", &strict)]);
    let ran = site.lab.drctl(&["drill", "--all", &dir]).expect(1);
    let words = |line: &str| line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>().join(" ");
    let rows: Vec<String> = ran.stdout.lines().filter(|line| !line.starts_with(' ')).map(words).collect();
    let alien = format!("{dir}/alien.toml UNUSABLE");
    let expected = [
        "cluster verdict",
        &alien,
        "bare UNUSABLE",
        "east passed",
        "empty REFUSED",
        "late FAILED",
        "west passed",
        "2 of",
    ];
    assert_eq!(rows, expected, "{}", ran.stdout);
    for reason in ["where a throwaway target comes from", "only 0.0s is allowed", "shows where"] {
        assert!(ran.stdout.contains(reason), "{reason}: {}", ran.stdout);
    }
    nothing_is_left(&site);
    sh(&format!("rm {dir}/late.toml {dir}/east.toml {dir}/west.toml"));
    site.lab.drctl(&["drill", "--all", &dir]).expect(3);
    sh(&format!("rm {dir}/empty.toml"));
    site.lab.drctl(&["drill", "--all", &dir]).expect(2);
    sh(&format!("rm {dir}/*.toml"));
    let said = site.lab.drctl(&["drill", "--all", &dir]).expect(2).stderr;
    assert!(said.contains("there is no inventory in"), "{said}");
    let said = site.lab.drctl(&["drill", "--all", &dir, "--inventory", &site.inventory]).expect(2).stderr;
    assert!(said.contains("are both given"), "{said}");
}

/// Ctrl-C reaches the drill that works, which takes its target away; the next is not begun.
#[test]
fn interrupted_drills_leave_nothing() {
    let site = Site::new(Root::Light, "");
    let same = |text: String| text;
    let dir = folder(&site, &[("east", &same), ("west", &same)]);
    let mut command = site.lab.command(&["drill", "--all", &dir, "--output", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("drctl can be run");
    a_target_is_made(&site);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
    let ended = child.wait_with_output().expect("it ends");
    let stdout = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(130), "{stdout}{}", String::from_utf8_lossy(&ended.stderr));
    let told = drills(&stdout);
    let verdicts: Vec<&Value> = told["drills"].as_array().expect("rows").iter().map(|row| &row["verdict"]).collect();
    assert_eq!(verdicts, ["interrupted", "interrupted"]);
    assert_eq!(told["drills"][1]["reasons"][0], "not begun");
    nothing_is_left(&site);
}

/// A drill whose process is killed may have left its target, so that is what is said of it.
#[test]
fn a_drill_that_is_killed_is_told_as_left() {
    let site = Site::new(Root::Light, "");
    let dir = folder(&site, &[("east", &|text| text)]);
    let mut command = site.lab.command(&["drill", "--all", &dir]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("drctl can be run");
    a_target_is_made(&site);
    // nsenter has become drctl: its only child is the drill.
    sh(&format!("kill -KILL $(cat /proc/{pid}/task/*/children)", pid = child.id()));
    let ended = child.wait_with_output().expect("it ends");
    let stdout = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(5), "{stdout}");
    assert!(stdout.contains("TARGET LEFT") && stdout.contains("`drctl drill sweep` takes away"), "{stdout}");
    site.lab.drctl(&["drill", "sweep"]).expect(0);
    nothing_is_left(&site);
}

/// Two tables at once over one folder do not mix up what each drill said.
#[test]
fn an_inventory_that_is_being_rehearsed_is_left_alone() {
    let site = Site::new(Root::Light, "");
    let dir = folder(&site, &[("east", &|text| text)]);
    let digits = sh(&format!("printf '%s' '{dir}/east.toml' | sha256sum | cut -c 1-8"));
    let log = site.lab.write(&format!("state/drill-logs/east-{}.ndjson", digits.trim()), "what the other says\n");
    let held = std::fs::File::open(&log).expect("the log");
    held.lock().expect("a lock");
    let ran = site.lab.drctl(&["drill", "--all", &dir]).expect(1);
    assert!(ran.stdout.contains("another `drctl drill --all` rehearses it now"), "{}", ran.stdout);
    assert_eq!(std::fs::read_to_string(&log).expect("the log"), "what the other says\n");
    assert!(!site.lab.dir.path().join("state/drills").exists(), "no drill is begun");
}

/// systemd itself reads the units, also with a path that must be quoted.
#[test]
fn systemd_takes_the_units() {
    let site = Site::new(Root::Light, "");
    let text = std::fs::read_to_string(&site.inventory).expect("the inventory");
    let odd = site.lab.write("clusters of 100% $HOME/prod.toml", &text);
    let dir = site.lab.dir.path().join("clusters of 100% $HOME").display().to_string();
    for (number, which) in [["--inventory", &site.inventory], ["--inventory", &odd], ["--all", &dir]].iter().enumerate()
    {
        let to = site.lab.dir.path().join(format!("units-{number}"));
        std::fs::create_dir(&to).expect("a folder");
        let to = to.display().to_string();
        let every = ["--every", "Sun *-*-* 03:00:00 UTC"];
        let args = [&["drill", "schedule", "--systemd", "--to", &to], &which[..], &every].concat();
        let written = site.lab.drctl(&args).expect(0).stdout;
        let files: Vec<&str> = written.lines().collect();
        assert_eq!(files.len(), 2, "{written}");
        let verified = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .args(&files)
            .output()
            .expect("systemd-analyze");
        let said = String::from_utf8_lossy(&verified.stderr);
        // What it complains of without failing, such as a key that it does not know, names the unit.
        assert!(verified.status.success() && !said.contains("drctl-drill"), "{said}");
        let again = site.lab.drctl(&args).expect(2).stderr;
        assert!(again.contains("is there already; nothing was written"), "{again}");
    }
    // The test can fail.
    let bad = site.lab.write("drctl-drill-bad.service", "[Service]\nType=oneshot\nExecStart=/bin/true\nKeyringMod=x\n");
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no", &bad]).output().expect("systemd-analyze");
    assert!(String::from_utf8_lossy(&verified.stderr).contains("drctl-drill-bad"), "{verified:?}");

    let printed = site.lab.drctl(&["drill", "schedule", "--systemd", "--inventory", &odd]).expect(0).stdout;
    let line = |begin: &str| {
        printed.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{begin}: {printed}"))
    };
    let quoted = odd.replace('%', "%%").replace('$', "$$");
    assert_eq!(line("ExecStart="), format!("ExecStart={DRCTL} drill --inventory \"{quoted}\""));
    assert_eq!(line("ExecStopPost="), format!("ExecStopPost={DRCTL} drill sweep"));
    assert_eq!(line("OnCalendar="), "OnCalendar=daily");
    assert_eq!(
        line("Environment="),
        format!("Environment=DRCTL_STATE={}", site.lab.dir.path().join("state").display())
    );
    for header in ["# /etc/systemd/system/drctl-drill-prod.service", "# /etc/systemd/system/drctl-drill-prod.timer"] {
        line(header);
    }
}

/// The units at work under a real systemd: a drill passes with what they forbid; one that is stopped takes its target away
/// itself; of one that is killed the sweep does, and the unit has failed. The host's disk is no place for an overlay's upper
/// layer, nor is the etcd tools' copy a large one, so the level is `data`.
#[test]
fn kube_systemd_drills() {
    let lab = Lab::new();
    let host = lab.host("drills", "kube", "10.77.0.20", &[]);
    let (merged, backup) = (host.field("merged"), lab.backup().display().to_string());
    let root = format!("{}/root", lab.lab(&["path", "root-light"]));
    let copied = sh(&format!(
        "set -e; mkdir -p {merged}/srv/drills {merged}/etc/drctl; cp {DRCTL} {merged}/usr/local/bin/drctl
         cp -a {root} {merged}/srv/drills/root; cp -aL {backup}/snapshots {backup}/pki {merged}/etc/drctl/; echo copied"
    ));
    assert_eq!(copied, "copied\n");
    host.sh_with(
        "cat >/etc/drctl/prod.toml",
        "[cluster]\nname = \"prod\"\nendpoint = \"10.77.0.10:6443\"\nkubernetes = \"1.20.2\"\nnode_name = \"master\"\n\
         [target]\nhost = \"10.77.0.10\"\n[[snapshots]]\nfolder.path = \"snapshots\"\n[pki]\ndir = \"pki\"\n\
         [drill.provider.namespace]\nroot = \"/srv/drills/root\"\n\
         copies = { \"/usr/local/bin\" = \"/srv/drills/root/opt/etcd-3.5\" }\n",
    );
    let shown =
        "systemctl show -P Result drctl-drill.service; drctl --state /var/lib/drctl drill list | sed 's/.*  //'";
    let passed = host.sh(&format!(
        "drctl drill schedule --systemd --all /etc/drctl --to /etc/systemd/system >/dev/null
         systemctl daemon-reload; systemctl -q enable --now drctl-drill.timer; systemctl is-active drctl-drill.timer
         systemctl start drctl-drill.service || true; {shown}
         journalctl -u drctl-drill -o cat | grep passed"
    ));
    assert!(
        passed.starts_with("active\nsuccess\ntarget gone\nprod ") && passed.ends_with("1 of 1 passed\n"),
        "{passed}"
    );
    let begun = "systemctl start --no-block drctl-drill.service; n=0
         until grep -qs '\"target\": \"created\"' /var/lib/drctl/drills/*/drill.json; do n=$((n + 1)); [ $n -lt 600 ]; sleep 0.05; done";
    let stopped = host.sh(&format!("set -e; {begun}; systemctl stop drctl-drill.service 2>/dev/null || true; {shown}"));
    assert_eq!(stopped, "exit-code\ntarget gone\ntarget gone\n");
    let killed = host.sh(&format!(
        "set -e; {begun}; systemctl kill -s KILL drctl-drill.service; n=0
         while systemctl is-active drctl-drill.service | grep -q ing; do n=$((n + 1)); [ $n -lt 600 ]; sleep 0.05; done; {shown}
         journalctl -u drctl-drill -o cat | tail -n 1 | sed 's/.*  //'"
    ));
    assert_eq!(killed, "signal\ntarget gone\ntarget gone\ntarget gone\nits target is gone now\n");
    assert_eq!(host.sh("grep -c ' /var/lib/drctl/' /proc/self/mounts || true"), "0\n");
}

/// What cannot be rehearsed is told when it is scheduled.
#[test]
fn a_schedule_that_cannot_work_is_refused() {
    let site = Site::new(Root::Light, "");
    let refused = |args: &[&str], why: &str| {
        let said = site.lab.drctl(&[&["drill", "schedule"], args].concat()).expect(2).stderr;
        assert!(said.contains(why), "{args:?}: {said}");
    };
    let inventory = site.inventory.as_str();
    refused(&["--systemd"], "one of `--inventory FILE` and `--all DIR` is needed");
    refused(&["--inventory", inventory], "--systemd|--kubernetes");
    refused(&["--systemd", "--inventory", inventory, "--every", "0 3 * * *"], "is no time that systemd knows");
    refused(
        &["--kubernetes", "--inventory", inventory, "--every", "Sun *-*-* 03:00:00"],
        "is no time that Kubernetes knows",
    );
    let dir = folder(&site, &[("bare", &|text| text.split("[drill").next().expect("its beginning").to_owned())]);
    refused(&["--systemd", "--all", &dir], "where a throwaway target comes from");
}
