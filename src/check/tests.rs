use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::inventory::{self, PkiFiles};
use crate::playbook;
use crate::sources::SourceError;
use crate::target::TargetError;

/// Nothing was seen but an inventory, and a playbook of these steps.
pub(crate) fn look(steps: &str) -> Look {
    let inventory = "[cluster]\nname = 'prod'\nendpoint = '10.0.0.10:6443'\n[target]\nhost = '10.0.0.10'\n\
                     [[snapshots]]\nfolder.path = '/nowhere'\n[pki]\ndir = '/nowhere'\n";
    let inventory = inventory::parse("prod.toml", inventory, Path::new("/")).unwrap();
    let playbook = playbook::parse("test.toml", &format!("name = 'test'\n{steps}"), &inventory).unwrap();
    let refused = TargetError::Refused { host: "10.0.0.10".to_owned(), reason: "it was not asked".to_owned() };
    Look {
        values: inventory.values(),
        inventory: Arc::new(inventory),
        playbook: Arc::new(playbook),
        snapshot: Err(SourceError::None { passed_over: Vec::new() }),
        pki: Arc::new(PkiFiles::default()),
        pki_contents: Vec::new(),
        target: Err(refused),
        answers: Vec::new(),
        purpose: Purpose::Ask,
        now: Timestamp::UNIX_EPOCH,
    }
}

/// What is wrong with the steps.
async fn of_steps(steps: &str) -> String {
    let found = findings(&look(steps)).await;
    let told = found.iter().filter(|finding| finding.message.starts_with("step "));
    told.map(|finding| format!("{} {}\n", finding.name, finding.message)).collect()
}

/// An upload that is skipped where there is no `sa.key`, and one that is not.
const UPLOADS: &str = r#"
[[step]]
name = "keys"
action = "upload"
when = "pki.sa.key"
source = "/nowhere/keys"
to = "/root/keys"

[[step]]
name = "images"
action = "upload"
source = "/etc/hostname"
to = "/root/images"
"#;

fn upload(name: &str, when: &str) -> String {
    format!(
        "[[step]]\nname = '{name}'\naction = 'upload'\nwhen = '{when}'\nsource = '/nowhere/{name}'\nto = '/root/{name}'\n"
    )
}

#[tokio::test]
async fn a_step_that_may_run_is_checked_and_one_that_will_not_is_not() {
    let steps = [
        UPLOADS.to_owned(),
        upload("may", "step.images.path"),
        upload("may-not", "not step.images.path"),
        upload("with-it", "step.may.path"),
        upload("never", "step.keys.path"),
        upload("always", "not step.keys.path"),
    ];
    insta::assert_snapshot!(of_steps(&steps.concat()).await, @"
    upload step `may`: `/nowhere/may` cannot be read on the controller
    upload step `may-not`: `/nowhere/may-not` cannot be read on the controller
    upload step `with-it`: `/nowhere/with-it` cannot be read on the controller
    upload step `always`: `/nowhere/always` cannot be read on the controller
    ");
}

#[test]
fn what_steps_reach_through_ssh_is_known_before_the_run() {
    let tunnels = |actions: &[&str]| {
        let step = |(at, action): (usize, &&str)| format!("[[step]]\nname = 'a{at}'\naction = {action}\n");
        let steps: String = actions.iter().enumerate().map(step).collect();
        look(&steps).tunnels().iter().map(Loopback::to_string).collect::<Vec<_>>().join(" ")
    };
    let object = "'expect'\nobject = '/api/v1/namespaces/shop'";
    assert_eq!(tunnels(&["'verify_etcd'", "'verify_data'", object]), "127.0.0.1:2379 127.0.0.1:6443");
    assert_eq!(tunnels(&["'verify_etcd'\nport = 4001"]), "127.0.0.1:4001");
    assert_eq!(tunnels(&["'verify_cluster'\nwhen = 'pki.sa.key'", "'verify_objects'"]), "127.0.0.1:6443");
    assert_eq!(
        tunnels(&[
            "'expect'\ncommand = 'true'",
            "'wait_for'\ncommand = 'true'",
            "'verify_cluster'\nwhen = 'pki.sa.key'"
        ]),
        ""
    );
}

#[tokio::test]
async fn a_name_without_a_value_is_told_before_the_run() {
    let command = |name: &str, when: &str, keys: &str| {
        format!("[[step]]\nname = '{name}'\naction = 'command'\n{when}\nrun = 'true'\n{keys}\n")
    };
    let steps = [
        UPLOADS.to_owned(),
        command("late", "", "verify = 'cmp ${pki.sa.pub} ${pki.sa.key}'\ntouches = ['${pki.sa.key}']"),
        command("may", "when = 'step.images.path'", "undo = 'rm ${pki.etcd.ca.key} ${step.images.path}'"),
        command("not", "when = 'pki.sa.key'", "check = 'cat ${pki.sa.key}'"),
        // Neither was seen, which is said elsewhere.
        command("blind", "", "undo = 'echo ${target.etcdutl_version} ${snapshot.name} ${pki.encryption-config}'"),
        command("well", "", "undo = 'echo ${inventory.cluster.name} ${step.images.path}'"),
    ];
    insta::assert_snapshot!(of_steps(&steps.concat()).await, @"
    no-value step `late`: `${pki.sa.key}` has no value
    no-value step `late`: `${pki.sa.pub}` has no value
    no-value step `may`: `${pki.etcd.ca.key}` has no value
    ");
}
