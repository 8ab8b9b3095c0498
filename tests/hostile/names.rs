//! Names and paths that are written into inventory and playbook.

use std::process::Command;

use crate::bed::{Bed, COMMANDS, escaped, text};
use crate::support::{ADDRESS, DRCTL, Lab};

/// What nobody means by a name.
fn hostile() -> Vec<String> {
    let long = "x".repeat(4096);
    [
        COMMANDS,
        "$(touch canary)",
        "`touch canary`",
        "a b",
        "-rf",
        "--help",
        "a\nb",
        "a\u{7f}",
        "..",
        "../../etc",
        "/etc/x",
    ]
    .into_iter()
    .chain([long.as_str()])
    .map(str::to_owned)
    .collect()
}

/// `drctl check` with one value of an inventory replaced.
fn refuses(key: &str, value: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let mut keys = vec![
        ("cluster", "name", text("prod")),
        ("cluster", "endpoint", text("10.255.255.1:6443")),
        ("cluster", "node_name", text("master")),
        ("cluster", "kubernetes", text("1.20.2")),
        ("cluster", "advertise_address", text("10.255.255.1")),
        ("target", "host", text("10.255.255.1")),
        ("step", "name", text("it")),
        ("step", "owner", text("root:root")),
        ("step", "mode", text("0600")),
    ];
    for (table, name, old) in &mut keys {
        if format!("{table}.{name}") == key {
            *old = text(value);
        }
    }
    let table = |wanted: &str| -> String {
        keys.iter()
            .filter(|(table, ..)| *table == wanted)
            .map(|(_, name, value)| format!("{name} = {value}\n"))
            .collect()
    };
    let inventory = format!(
        "[cluster]\n{}[target]\n{}[[snapshots]]\nfolder.path = \"/nowhere\"\n[pki]\ndir = \"/nowhere\"\n",
        table("cluster"),
        table("target")
    );
    let playbook = format!(
        "name = \"x\"\n[[step]]\naction = \"place_file\"\nsource = \"/etc/hosts\"\nto = \"/srv/x\"\n{}",
        table("step")
    );
    let output = Command::new(DRCTL)
        .args(["plan", "--inventory"])
        .arg(at("inventory.toml", &inventory))
        .arg("--playbook")
        .arg(at("playbook.toml", &playbook))
        .env("HOME", folder.path())
        .output()
        .expect("drctl can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{key} = {value:?}: {said}");
    assert!(said.contains("wrong here"), "{key} = {value:?}: {said}");
    assert!(!std::path::Path::new("canary").exists(), "{key} = {value:?} was executed");
}

#[test]
fn names_that_are_no_names_are_refused_where_they_are_written() {
    for key in
        ["cluster.name", "cluster.endpoint", "cluster.node_name", "cluster.kubernetes", "cluster.advertise_address"]
    {
        for value in hostile() {
            refuses(key, &value);
        }
    }
    for value in hostile().iter().filter(|value| *value != ".." && !value.starts_with('x') && !value.starts_with('$')) {
        refuses("target.host", value);
    }
    for value in hostile() {
        refuses("step.name", &value);
        refuses("step.mode", &value);
    }
}

#[test]
fn paths_of_any_letters_are_those_files_and_no_others() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut bed = Bed::new(&lab, &host);
    let long = format!("/srv/{}", "n".repeat(255));
    let odd =
        [format!("/srv/{COMMANDS}"), "/srv/-rf".to_owned(), "/srv/ ".to_owned(), "/srv/-n x/%s\t*".to_owned(), long];
    for (index, to) in odd.iter().enumerate() {
        bed.place(&format!("place-{index}"), to);
    }
    let touched = format!("/srv/touched {COMMANDS}");
    bed.step(
        "touch",
        "command",
        &format!(
            "run = '''for f in /srv/*touched*; do printf new >\"$$f\"; done'''\ntouches = [{}]",
            text(&escaped(&touched))
        ),
    );
    let merged = host.field("merged");
    std::fs::write(format!("{merged}{touched}"), "old").expect("a file");
    let before = bed.tree();

    bed.restore().expect(0);
    let key = std::fs::read(lab.backup().join("pki/ca.key")).expect("the key");
    for to in &odd {
        assert!(std::fs::read(format!("{merged}{to}")).is_ok_and(|placed| placed == key), "{to}");
    }
    assert_eq!(std::fs::read_to_string(format!("{merged}{touched}")).expect("the file"), "new");
    assert_eq!(host.sh("find /srv -type f | wc -l").trim(), "6");
    bed.rollback().expect(0);
    assert_eq!(bed.tree(), before);
}

#[test]
fn paths_that_are_no_plain_paths_are_refused_before_anything_is_touched() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut bed = Bed::new(&lab, &host);
    let deep = format!("/{}x", "n/".repeat(2048));
    let long = format!("/srv/{}", "n".repeat(256));
    let paths = ["srv/x", "/srv/../etc/passwd", "/srv//x", "/srv/a\nb", "-x", &deep, &long];
    for (index, to) in paths.iter().enumerate() {
        bed.place(&format!("place-{index}"), to);
    }
    let ran = bed.refused("unsafe-path");
    assert_eq!(ran.stderr.matches("is not a path that drctl changes").count(), paths.len(), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("longer than 3900 bytes, or a name in it longer than 255").count(), 2);
}
