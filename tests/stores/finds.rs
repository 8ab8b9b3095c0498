//! What is found in each kind of store.

use std::process::Command;

use crate::servers::{Server, boto, free_port};
use crate::{Bed, OTHER, WHOLE, chmod, identity};

fn bucket(server: &Server, prefix: &str) -> String {
    let port = server.port;
    format!(
        "[[snapshots]]\nobject_store = {{ url = 's3://backups/{prefix}', endpoint = 'http://127.0.0.1:{port}', allow_http = true }}\n"
    )
}

#[test]
fn the_newest_of_a_bucket_whatever_it_is_packed_in() {
    let (bed, server) = (Bed::new(), Server::s3(free_port(), false));
    let (key, recipient) = identity(&bed);
    let encrypted = age::encrypt(&recipient, &zstd::encode_all(OTHER, 3).unwrap()).unwrap();
    bed.write("up/etcd/prod/etcd-2024-01-01T00:01:00Z.db", WHOLE);
    bed.write("up/etcd/prod/etcd-2024-01-01T00:02:00Z.db.zst.age", &encrypted);
    bed.write("up/etcd/prod/etcd-2024-01-01T00:03:00Z.db", &WHOLE[..WHOLE.len() - 100]);
    bed.write("up/etcd/prod/etcd-2024-01-01T00:04:00Z.db.part", OTHER);
    bed.write("up/etcd/prod/below/etcd-2024-01-01T00:05:00Z.db", OTHER);
    bed.write("up/etcd/production/etcd-2024-01-01T00:06:00Z.db", OTHER);
    let upload = "s3.create_bucket(Bucket='backups')\n\
                  for folder, _, names in os.walk('.'):\n for name in names:\n  path = os.path.relpath(os.path.join(folder, name))\n  s3.upload_file(path, 'backups', path)\n";
    boto(server.port, upload, &bed.path("up"));

    bed.inventory(&format!("{}[age]\nidentity = 'age.key'\n", bucket(&server, "etcd/prod")));
    let found = bed.check();
    found.chose("etcd-2024-01-01T00:02:00Z.db.zst.age");
    let passed = found.said("snapshot-passed-over");
    assert!(passed.contains("00:03:00Z.db") && passed.contains("truncated"), "{passed}");
    assert!(!passed.contains("00:05") && !passed.contains("00:06") && !passed.contains(".part"), "{passed}");

    // Nothing decrypted is left; what was fetched is as it was there.
    for entry in std::fs::read_dir(bed.path("state/snapshots")).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(content == encrypted || content == WHOLE, "{} bytes of what?", content.len());
    }

    // A key that others can read is none; an older snapshot that needs none is no answer to that.
    chmod(&key, 0o640);
    let said = bed.check().said("no-snapshot");
    assert!(said.contains("can be read by others (mode 0640)") && said.contains("chmod 600"), "{said}");

    bed.inventory(&bucket(&server, "etcd/prod"));
    let said = bed.check().said("no-snapshot");
    assert!(said.contains("00:02:00Z.db.zst.age") && said.contains("has no `[age] identity`"), "{said}");
}

#[test]
fn profiles_of_the_aws_files_are_used() {
    let (mut bed, server) = (Bed::new(), Server::s3(free_port(), true));
    bed.variables.clear();
    bed.write("a.db", WHOLE);
    let keys = boto(
        server.port,
        "iam = client('iam')\niam.create_user(UserName='u')\n\
         iam.put_user_policy(UserName='u', PolicyName='p', PolicyDocument='{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}')\n\
         key = iam.create_access_key(UserName='u')['AccessKey']\n\
         s3.create_bucket(Bucket='backups')\n\
         s3 = boto3.client('s3', endpoint_url=os.environ['URL'], aws_access_key_id=key['AccessKeyId'], aws_secret_access_key=key['SecretAccessKey'])\n\
         s3.upload_file('a.db', 'backups', 'etcd/a.db')\n\
         print('aws_access_key_id =', key['AccessKeyId'])\nprint('aws_secret_access_key =', key['SecretAccessKey'])\n",
        bed.dir.path(),
    );
    bed.inventory(&bucket(&server, "etcd"));

    bed.write("home/.aws/credentials", format!("[default]\n{keys}\n").as_bytes());
    bed.check().chose("a.db");

    bed.write("home/.aws/credentials", b"[default]\naws_access_key_id = AKIA0000\naws_secret_access_key = hunter2\n");
    std::fs::remove_dir_all(bed.path("state")).unwrap();
    let found = bed.check();
    let said = found.said("no-snapshot");
    for part in ["the credentials were refused", "`AWS_ACCESS_KEY_ID` (not set)", ".aws/credentials` (found)"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!format!("{:?}{}", found.lines, found.stderr).contains("hunter2"));

    // The provider's variables win over its files.
    bed.variables
        .extend([("AWS_ACCESS_KEY_ID", "AKIA1111".to_owned()), ("AWS_SECRET_ACCESS_KEY", "hunter3".to_owned())]);
    let said = bed.check().said("no-snapshot");
    assert!(said.contains("`AWS_ACCESS_KEY_ID` (set)") && !said.contains("hunter3"), "{said}");
}

#[test]
fn a_folder_of_a_webdav_server_and_a_file_of_any_web_server() {
    let bed = Bed::new();
    bed.write("dav/etcd/etcd-2024-01-01T00:01:00Z.db", WHOLE);
    bed.write("dav/etcd/etcd-2024-01-01T00:02:00Z.db", OTHER);
    bed.write("dav/etcd/notes.txt", b"x");
    let (dav, web) = (Server::webdav(&bed.path("dav")), Server::web(&bed.path("dav/etcd")));
    let source = |url: String| format!("[[snapshots]]\nobject_store = {{ url = '{url}', allow_http = true }}\n");
    bed.inventory(&source(format!("http://127.0.0.1:{}/etcd/", dav.port)));
    bed.check().chose("etcd-2024-01-01T00:02:00Z.db");
    bed.inventory(&source(format!("http://127.0.0.1:{}/etcd-2024-01-01T00:01:00Z.db", web.port)));
    bed.check().chose("etcd-2024-01-01T00:01:00Z.db");
    bed.inventory(&source(format!("http://127.0.0.1:{}/gone.db", web.port)));
    let said = bed.check().said("no-snapshot");
    assert!(said.contains("not there"), "{said}");
}

#[test]
fn files_by_their_url() {
    let bed = Bed::new();
    bed.write("here/etcd-snapshot-2018-05-24_21:54:03_UTC.db", WHOLE);
    bed.write("here/etcd-snapshot-2018-05-24_21:49:03_UTC.db.gz", OTHER);
    bed.inventory(&format!("[[snapshots]]\nobject_store.url = 'file://{}'\n", bed.path("here").display()));
    bed.check().chose("etcd-snapshot-2018-05-24_21:54:03_UTC.db");
}

#[test]
fn a_container_of_azure() {
    let port = free_port();
    let mut bed = Bed::new();
    bed.write("etcd-2024-01-01T00:01:00Z.db", WHOLE);
    let folder = crate::servers::installed();
    let mut command = Command::new(folder.join("node/node_modules/.bin/azurite-blob"));
    command.args([
        "--silent",
        "--skipApiVersionCheck",
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        &port.to_string(),
        "--location",
    ]);
    command.arg(bed.path("azure")).env("AZURITE_ACCOUNTS", "backup:c2VjcmV0");
    let _server = Server::start(&mut command, port);
    let written = Command::new("python3")
        .args(["-c", include_str!("azure.py"), &port.to_string(), "etcd-2024-01-01T00:01:00Z.db"])
        .current_dir(bed.dir.path())
        .output()
        .unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    bed.inventory(&format!(
        "[[snapshots]]\nobject_store = {{ url = 'az://backups/etcd', endpoint = 'http://127.0.0.1:{port}/backup', allow_http = true }}\n"
    ));
    bed.variables =
        vec![("AZURE_STORAGE_ACCOUNT_NAME", "backup".to_owned()), ("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0".to_owned())];
    bed.check().chose("etcd-2024-01-01T00:01:00Z.db");
    bed.variables[1].1 = "d3Jvbmc=".to_owned();
    let said = bed.check().said("no-snapshot");
    assert!(said.contains("`AZURE_STORAGE_ACCOUNT_KEY` (set)"), "{said}");
}

/// A service account whose file says, as it may, where the store is.
fn service_account(bed: &Bed, port: u16) {
    let account = format!(
        "{{\"gcs_base_url\": \"http://127.0.0.1:{port}\", \"disable_oauth\": true, \"client_email\": \"\", \
         \"private_key\": \"\", \"private_key_id\": \"\"}}"
    );
    bed.write("account.json", account.as_bytes());
}

#[test]
fn a_bucket_of_google() {
    let mut bed = Bed::new();
    bed.write("gcs/backups/etcd/etcd-2024-01-01T00:01:00Z.db", WHOLE);
    bed.write("gcs/backups/etcd/etcd-2024-01-01T00:02:00Z.db", OTHER);
    bed.write("gcs/backups/etcd/etcd-2024-01-01T00:03:00Z.db", &WHOLE[..WHOLE.len() - 100]);
    bed.write("gcs/backups/etcd/below/etcd-2024-01-01T00:04:00Z.db", OTHER);
    bed.write("gcs/backups/etcd-other/etcd-2024-01-01T00:05:00Z.db", OTHER);
    let port = free_port();
    let _server = Server::gcs(&bed.path("gcs"), port, port);
    service_account(&bed, port);
    bed.inventory("[[snapshots]]\nobject_store = { url = 'gs://backups/etcd', allow_http = true }\n");
    bed.variables = vec![("GOOGLE_SERVICE_ACCOUNT", bed.path("account.json").display().to_string())];
    let found = bed.check();
    found.chose("etcd-2024-01-01T00:02:00Z.db");
    let passed = found.said("snapshot-passed-over");
    assert!(passed.contains("00:03:00Z.db") && passed.contains("truncated"), "{passed}");
    assert!(!passed.contains("00:04") && !passed.contains("00:05"), "{passed}");

    bed.inventory("[[snapshots]]\nobject_store = { url = 'gs://no-such-bucket/etcd', allow_http = true }\n");
    let said = bed.check().said("no-snapshot");
    assert!(said.contains("gs://no-such-bucket/etcd") && said.contains("no bucket named no-such-bucket"), "{said}");
    bed.variables[0].1 = bed.path("no-account.json").display().to_string();
    let said = bed.check().said("no-snapshot");
    assert!(said.contains("no-account.json"), "{said}");
}
