//! `drctl snapshot` of what is in a bucket: listed, verified, inspected and compared by name.

use serde_json::Value;

use crate::servers::{Link, Server, boto, free_port};
use crate::{Bed, Found, OTHER, WHOLE, identity, large};

const MIB: u64 = 1 << 20;
const SOUND: &str = "etcd-2024-01-01T00:01:00Z.db";
const BROKEN: &str = "etcd-2024-01-01T00:02:00Z.db";
const PACKED: &str = "etcd-2024-01-01T00:03:00Z.db.zst.age";

/// A bucket with a sound snapshot, one that lost its end, and one that is packed and encrypted; and a link to it.
fn bucket() -> (Bed, Server, Link) {
    let (bed, server) = (Bed::new(), Server::s3(free_port(), false));
    let (_, recipient) = identity(&bed);
    bed.write(&format!("up/{SOUND}"), &large(WHOLE, 3));
    bed.write(&format!("up/{BROKEN}"), &large(WHOLE, 2)[..(2 << 20) - 100]);
    bed.write(&format!("up/{PACKED}"), &age::encrypt(&recipient, &zstd::encode_all(OTHER, 3).unwrap()).unwrap());
    let upload = "s3.create_bucket(Bucket='backups')\n\
                  for name in os.listdir('.'): s3.upload_file(name, 'backups', 'etcd/' + name)\n";
    boto(server.port, upload, &bed.path("up"));
    let link = Link::to(server.port);
    bed.inventory(&source(&link));
    (bed, server, link)
}

fn source(link: &Link) -> String {
    let port = link.port;
    format!(
        "[[snapshots]]\nobject_store = {{ url = 's3://backups/etcd', endpoint = 'http://127.0.0.1:{port}', allow_http = true }}\n\
         [age]\nidentity = 'age.key'\n"
    )
}

/// The one answer of a command.
fn answer(found: &Found, kind: &str) -> Value {
    let [line] = found.lines.as_slice() else { panic!("{:?}\n{}", found.lines, found.stderr) };
    assert_eq!(line["kind"], kind);
    line["data"].clone()
}

fn states(listed: &Value) -> Vec<(&str, &str)> {
    let rows = listed["snapshots"].as_array().unwrap().iter();
    rows.map(|row| (row["name"].as_str().unwrap(), row["state"].as_str().unwrap())).collect()
}

#[test]
fn what_is_listed_is_fetched_only_when_that_is_asked_for() {
    let (bed, _server, link) = bucket();
    let found = bed.run(&["snapshot", "list"]);
    assert_eq!(found.code, 0, "{}", found.stderr);
    let listed = answer(&found, "snapshots_listed");
    assert_eq!(states(&listed), [(PACKED, "unread"), (BROKEN, "unread"), (SOUND, "unread")]);
    let row = &listed["snapshots"][2];
    assert_eq!((row["size"].as_u64(), row["source"].as_str()), (Some(3 * MIB + 32), Some("s3://backups/etcd")));
    assert!(row["reason"].as_str().unwrap().contains("`--fetch`") && row["revision"].is_null(), "{row}");
    assert!(link.passed() < MIB && !bed.path("state/snapshots").exists());

    let found = bed.run(&["snapshot", "list", "--fetch"]);
    assert_eq!(found.code, 0, "{}", found.stderr);
    let listed = answer(&found, "snapshots_listed");
    assert_eq!(states(&listed), [(PACKED, "whole"), (BROKEN, "not_whole"), (SOUND, "whole")]);
    assert!(listed["snapshots"][1]["reason"].as_str().unwrap().contains("truncated"), "{listed}");
    assert!(
        listed["snapshots"][0]["revision"].as_i64() > Some(0) && listed["snapshots"][2]["revision"].as_i64() > Some(0)
    );
    // The copies serve the next one.
    let before = link.passed();
    let again = answer(&bed.run(&["snapshot", "list", "--fetch", "--limit", "1"]), "snapshots_listed");
    assert_eq!((states(&again), again["left_out"].as_u64()), (vec![(PACKED, "whole")], Some(2)));
    assert!(link.passed() - before < MIB / 4);
}

#[test]
fn a_name_stands_for_what_is_in_the_bucket() {
    let (bed, _server, link) = bucket();
    let found = bed.run(&["snapshot", "verify", SOUND]);
    assert_eq!(found.code, 0, "{:?} {}", found.lines, found.stderr);
    let verified = answer(&found, "snapshot_verified");
    assert_eq!((&verified["whole"], verified["size"].as_u64()), (&Value::Bool(true), Some(3 * MIB + 32)));
    assert_eq!(
        (&verified["source"], &verified["taken"]),
        (&"s3://backups/etcd".into(), &"2024-01-01T00:01:00Z".into())
    );

    let found = bed.run(&["snapshot", "verify", PACKED, BROKEN]);
    assert_eq!(found.code, 3, "{:?} {}", found.lines, found.stderr);
    let packed = &found.lines[0]["data"];
    assert_eq!((&packed["whole"], packed["size"].as_u64()), (&Value::Bool(true), Some(OTHER.len() as u64)));
    assert_eq!(packed["packed"], serde_json::json!(["age", "zstd"]));
    // Its size tells, so it is not even fetched.
    let why = found.lines.last().unwrap()["data"]["message"].to_string();
    assert!(why.contains(BROKEN) && why.contains("truncated"), "{why}");

    // `latest` is the newest that is whole; what it holds is what the fixture holds.
    for name in ["latest", PACKED] {
        let inspected = answer(&bed.run(&["snapshot", "inspect", name]), "snapshot_inspected");
        assert_eq!(inspected["name"], PACKED);
        let own = bed.write("own.db", OTHER);
        let expected = answer(&bed.run(&["snapshot", "inspect", own.to_str().unwrap()]), "snapshot_inspected");
        assert_eq!(
            (&inspected["sha256"], &inspected["records"]),
            (&expected["sha256"], &expected["records"]),
            "{inspected}"
        );
    }
    let compared = answer(&bed.run(&["snapshot", "diff", SOUND, PACKED]), "snapshot_diff");
    assert_eq!(
        (&compared["first"]["name"], &compared["second"]["name"]),
        (&SOUND.into(), &PACKED.into()),
        "{compared}"
    );

    let found = bed.run(&["snapshot", "inspect", "etcd-2024-01-01T00:09:00Z.db"]);
    assert_eq!(found.code, 2);
    assert!(format!("{:?}{}", found.lines, found.stderr).contains("neither a file nor a snapshot"), "{}", found.stderr);

    // The same name in a folder too: which one is meant is for a person to say.
    bed.write(&format!("here/{SOUND}"), WHOLE);
    bed.inventory(&format!("[[snapshots]]\nfolder.path = 'here'\n{}", source(&link)));
    let found = bed.run(&["snapshot", "verify", SOUND]);
    assert_eq!(found.code, 2);
    assert!(format!("{:?}{}", found.lines, found.stderr).contains("is in several sources"), "{}", found.stderr);
}
