//! Targets that a user's own commands make.

use super::site::{sh, write_inventory};
use super::support::Lab;

/// Prints where a host of the lab is, after it has let the drill in.
pub(crate) fn create(lab: &Lab, host: &str) -> String {
    let (program, hub) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab"), lab.netns());
    let hub = hub.file_name().expect("a name").to_string_lossy().into_owned();
    format!(
        "set -e; export DRCTL_LAB_HUB={hub}; order=$(cat); lab={program}
         key=$(printf %s \"$order\" | sed 's/.*\"public_key\":\"\\([^\"]*\\)\".*/\\1/')
         [ \"$($lab field {host} ip 2>/dev/null)\" ] || $lab up {host} light 10.77.0.12 --hostname master --etcd 3.5 >&2
         $lab enter {host} sh -c \"umask 077; mkdir -p /root/.ssh; echo '$key' >>/root/.ssh/authorized_keys\"
         printf '{{\"host\": \"%s\", \"host_key\": \"%s\"}}' \"$($lab field {host} ip)\" \"$($lab field {host} fingerprint)\"\n"
    )
}

/// Made, restored onto, taken away: by two commands that know nothing of drctl but JSON.
#[test]
fn a_users_own_commands_make_and_take_away_the_target() {
    let lab = Lab::new();
    lab.lab(&["hub", "true"]);
    let create = lab.write("create", create(&lab, "cloud"));
    let hub = lab.netns().file_name().expect("a name").to_string_lossy().into_owned();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab");
    let seen = lab.dir.path().join("destroy.json");
    let destroy =
        lab.write("destroy", format!("cat >{}; DRCTL_LAB_HUB={hub} exec {program} down cloud\n", seen.display()));
    let provider = format!(
        "isolated = \"by me\"\n[drill.provider.command]\ncreate = [\"sh\", \"{create}\"]\ndestroy = [\"sh\", \"{destroy}\"]\n"
    );
    let inventory = write_inventory(&lab, &provider);
    let ran = lab.drctl(&["drill", "--inventory", &inventory]).expect(0);
    assert!(ran.stderr.contains("DRILL PASSED"), "{}", ran.stderr);
    let order: serde_json::Value = serde_json::from_slice(&std::fs::read(&seen).expect("the order")).expect("JSON");
    assert_eq!((&order["hostname"], &order["created"]["host"]), (&"master".into(), &"10.77.0.12".into()));
    assert!(!order.to_string().contains("PRIVATE KEY"), "keys are named by their files alone");
    assert_eq!(lab.lab(&["list"]), "", "the host is gone");
    assert_eq!(sh(&format!("ls {}/fenced 2>/dev/null", lab.dir.path().display())), "");
}

/// What a command complains of is told, and what it made is taken away.
#[test]
fn a_command_that_fails_is_told_with_its_words() {
    let lab = Lab::new();
    lab.lab(&["hub", "true"]);
    let destroyed = lab.dir.path().join("destroyed");
    let drill = |create: &str| {
        format!(
            "isolated = \"by me\"\n[drill.provider.command]\ncreate = [\"sh\", \"-c\", {create:?}]\ndestroy = [\"touch\", \"{}\"]\n",
            destroyed.display()
        )
    };
    let inventory = write_inventory(&lab, &drill("echo no quota left in region x >&2; exit 3"));
    let said = lab.drctl(&["drill", "--inventory", &inventory]).expect(1).stderr;
    assert!(said.contains("no quota left in region x") && said.contains("DRILL FAILED"), "{said}");
    assert!(destroyed.exists(), "destroy is asked for although create failed");
    let inventory = write_inventory(&lab, &drill("echo hello"));
    let said = lab.drctl(&["drill", "--inventory", &inventory]).expect(1).stderr;
    assert!(said.contains("expected `{\"host\"") && said.contains("found `hello`"), "{said}");
}
