//! Many drills, and regularly: every inventory of a folder with one table and one exit code, and what starts them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::site::{Root, Site, sh};

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
    let lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.last().filter(|line| line["kind"] == "drills").expect("the last line").clone()["data"].take()
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
    sh(&format!("rm {dir}/late.toml"));
    sh(&format!("rm {dir}/east.toml {dir}/west.toml"));
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
    let until = Instant::now() + Duration::from_secs(60);
    let state = site.lab.dir.path().join("state/drills");
    while sh(&format!("grep -l '\"target\": \"created\"' {}/*/drill.json 2>/dev/null", state.display())).is_empty() {
        assert!(Instant::now() < until, "no target is made");
        std::thread::sleep(Duration::from_millis(5));
    }
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
    let state = site.lab.dir.path().join("state/drills");
    let until = Instant::now() + Duration::from_secs(60);
    while sh(&format!("grep -l '\"target\": \"created\"' {}/*/drill.json 2>/dev/null", state.display())).is_empty() {
        assert!(Instant::now() < until, "no target is made");
        std::thread::sleep(Duration::from_millis(5));
    }
    // nsenter has become drctl: its only child is the drill.
    sh(&format!("kill -KILL $(cat /proc/{pid}/task/*/children)", pid = child.id()));
    let ended = child.wait_with_output().expect("it ends");
    let stdout = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(5), "{stdout}");
    assert!(stdout.contains("TARGET LEFT") && stdout.contains("`drctl drill sweep` takes away"), "{stdout}");
    site.lab.drctl(&["drill", "sweep"]).expect(0);
    nothing_is_left(&site);
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
    let drctl = super::support::DRCTL;
    let quoted = odd.replace('%', "%%").replace('$', "$$");
    assert_eq!(line("ExecStart="), format!("ExecStart={drctl} drill --inventory \"{quoted}\""));
    assert_eq!(line("ExecStopPost="), format!("ExecStopPost={drctl} drill sweep"));
    assert_eq!(line("OnCalendar="), "OnCalendar=daily");
    assert_eq!(
        line("Environment="),
        format!("Environment=DRCTL_STATE={}", site.lab.dir.path().join("state").display())
    );
    for header in ["# /etc/systemd/system/drctl-drill-prod.service", "# /etc/systemd/system/drctl-drill-prod.timer"] {
        line(header);
    }
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
