//! What becomes of a download when something breaks in the middle of it.

use std::io::Read as _;
use std::path::Path;
use std::process::Child;

use crate::servers::{Link, Server, boto, free_port, until};
use crate::{Bed, Found, OTHER, WHOLE, large};

const NAME: &str = "etcd-2024-01-01T00:01:00Z.db";
const MIB: u64 = 1 << 20;
const SIZE: u64 = 24 * MIB;

fn upload(port: u16, folder: &Path) {
    let script = "if 'backups' not in [b['Name'] for b in s3.list_buckets()['Buckets']]: s3.create_bucket(Bucket='backups')\n\
                  s3.put_object(Bucket='backups', Key='etcd/etcd-2024-01-01T00:01:00Z.db', Body=open('up.db', 'rb'))\n";
    boto(port, script, folder);
}

fn through(link: &Link) -> String {
    let port = link.port;
    format!(
        "[[snapshots]]\nobject_store = {{ url = 's3://backups/etcd', endpoint = 'http://127.0.0.1:{port}', allow_http = true }}\n"
    )
}

/// A large snapshot in a bucket, and a link to it.
fn prepared() -> (Bed, Server, Link) {
    let (bed, server) = (Bed::new(), Server::s3(free_port(), false));
    bed.write("up.db", &large(WHOLE, 24));
    upload(server.port, bed.dir.path());
    let link = Link::to(server.port);
    bed.inventory(&through(&link));
    (bed, server, link)
}

/// Begins to check, and comes to a standstill in the middle of the download; the bytes that are there.
fn stalled(bed: &Bed, link: &Link) -> (Child, u64) {
    link.stall_after(9 * MIB);
    let child = bed.command(&["check"]).spawn().unwrap();
    until("the download stalls", || link.is_stalled() && bed.part().is_some_and(|bytes| bytes > 8 * MIB));
    (child, bed.part().unwrap())
}

/// That it asked for the rest: from at least so many bytes on.
fn went_on(link: &Link, there: u64) {
    let ranges = link.ranges();
    let starts = ranges.iter().filter_map(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse::<u64>().ok());
    assert!(starts.clone().count() > 0 && starts.clone().all(|start| start >= there), "{there}: {ranges:?}");
}

#[test]
fn a_killed_download_goes_on_where_it_was() {
    let (bed, _server, link) = prepared();
    let (mut child, _) = stalled(&bed, &link);
    child.kill().unwrap();
    child.wait().unwrap();
    let there = bed.part().unwrap();
    link.cut(false);
    link.free();
    let before = link.passed();
    bed.check().chose(NAME);
    assert_eq!(link.ranges(), [format!("bytes={there}-")]);
    let rest = link.passed() - before;
    assert!(rest < SIZE - there + MIB, "{rest} bytes for the last {}", SIZE - there);
    assert_eq!(bed.part(), None);
    // And once it is there, nothing of it is fetched again.
    let before = link.passed();
    bed.check().chose(NAME);
    assert!(link.passed() - before < MIB);
}

#[test]
fn a_killed_download_from_google_goes_on_where_it_was() {
    let mut bed = Bed::new();
    bed.write(&format!("gcs/backups/etcd/{NAME}"), &large(WHOLE, 24));
    let port = free_port();
    let link = Link::to(port);
    let _server = Server::gcs(&bed.path("gcs"), port, link.port);
    bed.inventory(&format!(
        "[[snapshots]]\nobject_store = {{ url = 'gs://backups/etcd', endpoint = 'http://127.0.0.1:{}', allow_http = true }}\n",
        link.port
    ));
    bed.variables = vec![("GOOGLE_SKIP_SIGNATURE", "true".to_owned())];
    let (mut child, _) = stalled(&bed, &link);
    child.kill().unwrap();
    child.wait().unwrap();
    let there = bed.part().unwrap();
    link.cut(false);
    link.free();
    let before = link.passed();
    bed.check().chose(NAME);
    assert_eq!(link.ranges(), [format!("bytes={there}-")]);
    let rest = link.passed() - before;
    assert!(rest < SIZE - there + MIB, "{rest} bytes for the last {}", SIZE - there);
}

#[test]
fn a_server_that_dies_and_comes_back_is_waited_for() {
    let (bed, server, link) = prepared();
    let (child, there) = stalled(&bed, &link);
    let port = server.port;
    link.cut(true);
    drop(server);
    let _server = Server::s3(port, false);
    upload(port, bed.dir.path());
    link.free();
    link.mend();
    Found::of(child).chose(NAME);
    went_on(&link, there);
}

#[test]
fn what_changes_meanwhile_is_begun_anew() {
    let (bed, server, link) = prepared();
    let (child, _) = stalled(&bed, &link);
    bed.write("up.db", &large(OTHER, 23));
    upload(server.port, bed.dir.path());
    link.free();
    link.cut(false);
    let found = Found::of(child);
    found.chose(NAME);
    let said = found.said("snapshot");
    assert!(said.contains(&format!("{} bytes", 23 * MIB + 32)), "{said}");
    assert_eq!(bed.part(), None);
}

#[test]
fn a_server_without_ranges_gives_all_of_it_again() {
    let bed = Bed::new();
    bed.write(&format!("web/{NAME}"), &large(WHOLE, 24));
    let server = Server::web(&bed.path("web"));
    let link = Link::to(server.port);
    let url = format!("http://127.0.0.1:{}/{NAME}", link.port);
    bed.inventory(&format!("[[snapshots]]\nobject_store = {{ url = '{url}', allow_http = true }}\n"));
    let (child, there) = stalled(&bed, &link);
    link.free();
    link.cut(false);
    Found::of(child).chose(NAME);
    went_on(&link, there);
    assert!(link.passed() > there + SIZE);
}

#[test]
fn a_server_that_stays_away_is_given_up_in_time() {
    let (bed, _server, link) = prepared();
    bed.inventory(&through(&link).replace("allow_http", "reconnect_for = '2s', allow_http"));
    let (child, there) = stalled(&bed, &link);
    link.cut(true);
    let found = Found::of(child);
    assert_eq!(found.code, 3);
    let said = found.said("no-snapshot");
    assert!(said.contains(NAME), "{said}");
    // What was fetched counts when it is back.
    assert!(bed.part().is_some_and(|bytes| bytes >= there));
    link.free();
    link.mend();
    bed.check().chose(NAME);
}

#[test]
fn what_is_not_there_is_told_with_its_name() {
    let (bed, server) = (Bed::new(), Server::s3(free_port(), false));
    let source = |port: u16| {
        format!(
            "[[snapshots]]\nobject_store = {{ url = 's3://no-such-bucket/etcd', endpoint = 'http://127.0.0.1:{port}', allow_http = true }}\n"
        )
    };
    bed.inventory(&source(server.port));
    let said = bed.check().said("no-snapshot");
    assert!(said.contains("s3://no-such-bucket/etcd") && said.contains("NoSuchBucket"), "{said}");
    bed.inventory(&source(free_port()));
    let said = bed.check().said("no-snapshot");
    assert!(said.contains("could not list the snapshots in s3://no-such-bucket/etcd"), "{said}");
}

#[test]
fn an_object_that_is_cut_off_in_the_store_is_not_fetched() {
    let (bed, server, link) = prepared();
    let whole = large(WHOLE, 24);
    bed.write("up.db", &whole[..whole.len() - 100]);
    upload(server.port, bed.dir.path());
    let before = link.passed();
    let said = bed.check().said("no-snapshot");
    assert!(said.contains("truncated"), "{said}");
    assert!(link.passed() - before < 4 * MIB, "{} bytes", link.passed() - before);
}

#[test]
fn a_small_file_cannot_fill_the_disk() {
    let bed = Bed::new();
    let (_, recipient) = crate::identity(&bed);
    let bomb = zstd::encode_all(std::io::repeat(0).take(300 * MIB), 19).unwrap();
    bed.write("here/etcd-2024-01-01T00:02:00Z.db.zst.age", &age::encrypt(&recipient, &bomb).unwrap());
    bed.write(&format!("here/{NAME}"), WHOLE);
    bed.inventory("max_unpacked_size = '64MiB'\n[[snapshots]]\nfolder.path = 'here'\n[age]\nidentity = 'age.key'\n[pki]\ndir = 'pki'\n");
    let found = bed.check();
    found.chose(NAME);
    let said = found.said("snapshot-passed-over");
    assert!(said.contains("67108864") && said.contains("`max_unpacked_size`"), "{said}");
}
