//! The PKI set from wherever it is kept: verified, bundled, fetched.

use std::process::Command;

use serde_json::Value;

use crate::servers::{Server, boto, free_port};
use crate::{Bed, DRCTL, Found, WHOLE, identity};

/// A set of kubeadm's kind, made by openssl.
fn set(bed: &Bed, folder: &str) {
    std::fs::create_dir_all(bed.path(folder).join("etcd")).unwrap();
    for (name, subject) in [("ca", "kubernetes"), ("front-proxy-ca", "front-proxy-ca"), ("etcd/ca", "etcd-ca")] {
        let (key, crt) = (format!("{name}.key"), format!("{name}.crt"));
        let subject = format!("/CN={subject}");
        openssl(
            bed,
            folder,
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "3650",
                "-subj",
                &subject,
                "-keyout",
                &key,
                "-out",
                &crt,
                "-addext",
                "keyUsage=critical,keyCertSign,digitalSignature",
            ],
        );
    }
    openssl(bed, folder, &["genrsa", "-out", "sa.key", "2048"]);
    openssl(bed, folder, &["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"]);
}

fn openssl(bed: &Bed, folder: &str, args: &[&str]) {
    let output = Command::new("openssl").args(args).current_dir(bed.path(folder)).output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn folder_source(bed: &Bed) -> String {
    bed.write("snapshots/a.db", WHOLE);
    "[[snapshots]]\nfolder.path = 'snapshots'\n".to_owned()
}

fn bundle(bed: &Bed, from: &str, to: &str, recipient: &str) -> Found {
    let (from, to) = (bed.path(from), bed.path(to));
    let mut command = Command::new(DRCTL);
    command.args(["pki", "bundle", "--output", "json", "--from"]).arg(from).arg("--to").arg(to);
    command.args(["--recipient", recipient]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    Found::of(command.spawn().unwrap())
}

fn verify_dir(bed: &Bed, folder: &str) -> Found {
    let mut command = Command::new(DRCTL);
    command.args(["pki", "verify", "--output", "json", "--dir"]).arg(bed.path(folder));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    Found::of(command.spawn().unwrap())
}

#[test]
fn a_sound_set_and_each_way_in_which_it_is_not() {
    let bed = Bed::new();
    set(&bed, "pki");
    let found = verify_dir(&bed, "pki");
    assert_eq!(found.code, 0, "{:?}", found.lines);
    assert_eq!(found.said("pki-pair").lines().count(), 3);
    let files: Vec<&Value> =
        found.lines.iter().filter(|line| line["kind"] == "pki").map(|line| &line["data"]).collect();
    assert_eq!(files.len(), 9);
    let key = |name: &str| files.iter().find(|row| row["file"] == name).unwrap()["public_key_sha256"].as_str().unwrap();
    assert_eq!((key("ca.crt"), key("sa.pub")), (key("ca.key"), key("sa.key")));
    assert!(key("ca.crt") != key("etcd/ca.crt"));

    let spoil = |name: &str, spoilt: &dyn Fn(&std::path::Path)| {
        std::fs::remove_dir_all(bed.path("other")).unwrap_or_default();
        let copied = Command::new("cp").arg("-r").arg(bed.path("pki")).arg(bed.path("other")).status().unwrap();
        assert!(copied.success());
        spoilt(&bed.path("other").join(name));
        verify_dir(&bed, "other")
    };
    let other_key = std::fs::read(bed.path("pki/sa.key")).unwrap();
    for (name, said) in
        [("etcd/ca.key", "etcd CA: the key does not belong"), ("front-proxy-ca.key", "front proxy CA: the key")]
    {
        let found = spoil(name, &|path| std::fs::write(path, &other_key).unwrap());
        assert!(found.code == 3 && found.said("pki-unfit").contains(said), "{name}: {:?}", found.lines);
    }
    let found = spoil("etcd/ca.key", &|path| std::fs::remove_file(path).unwrap());
    assert!(
        found.code == 3 && found.said("pki-unfit").contains("`kubeadm init` would stop half way"),
        "{:?}",
        found.lines
    );
    let etcd_key = std::fs::read(bed.path("pki/etcd/ca.key")).unwrap();
    let found = spoil("sa.key", &|path| std::fs::write(path, &etcd_key).unwrap());
    assert!(
        found.code == 3 && found.said("pki-unfit").contains("sa.key is not the key that sa.pub is of"),
        "{:?}",
        found.lines
    );
    let found = spoil("ca.key", &|path| std::fs::remove_file(path).unwrap());
    assert!(found.code == 3 && !found.said("no-ca").is_empty(), "{:?}", found.lines);
    // What is absent as a whole is a loss, and no fault.
    let found = spoil("sa.key", &|path| {
        std::fs::remove_file(path).unwrap();
        std::fs::remove_file(path.with_file_name("sa.pub")).unwrap();
    });
    assert!(found.code == 0 && found.said("pki-incomplete").contains("service-account token"), "{:?}", found.lines);
}

#[test]
fn a_table_for_people() {
    let bed = Bed::new();
    set(&bed, "pki");
    std::fs::remove_file(bed.path("pki/sa.key")).unwrap();
    std::fs::remove_file(bed.path("pki/sa.pub")).unwrap();
    let output = Command::new(DRCTL).args(["pki", "verify", "--dir"]).arg(bed.path("pki")).output().unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("[0-9a-f]{12}", "<12 digits>");
    settings.add_filter(r"\d{4}-\d\d-\d\d", "<date>");
    settings.bind(|| {
        insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
        ca.crt                  found  key <12 digits>  <date>  CN=kubernetes
        ca.key                  found  key <12 digits>
        sa.pub                  -
        sa.key                  -
        front-proxy-ca.crt      found  key <12 digits>  <date>  CN=front-proxy-ca
        front-proxy-ca.key      found  key <12 digits>
        etcd/ca.crt             found  key <12 digits>  <date>  CN=etcd-ca
        etcd/ca.key             found  key <12 digits>
        encryption-config.yaml  -
        ");
    });
}

#[test]
fn a_bundle_is_made_once_and_opened_by_its_recipients_only() {
    let bed = Bed::new();
    set(&bed, "pki");
    let (_, recipient) = identity(&bed);
    let found = bundle(&bed, "pki", "prod.tar.zst.age", &recipient.to_string());
    assert_eq!(found.code, 0, "{:?}", found.lines);
    let path = bed.path("prod.tar.zst.age");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let first = std::fs::read(&path).unwrap();
    assert!(bundle(&bed, "pki", "prod.tar.zst.age", &recipient.to_string()).code == 2);
    assert!(std::fs::read(&path).unwrap() == first);

    bed.inventory(&format!("{}[pki]\nbundle = 'prod.tar.zst.age'\n[age]\nidentity = 'age.key'\n", folder_source(&bed)));
    let found = bed.run(&["pki", "verify"]);
    // The fixture holds no control plane, so nothing can be compared.
    assert!(
        found.code == 0 && !found.said("ca").is_empty() && !found.said("ca-unproven").is_empty(),
        "{:?}",
        found.lines
    );
    assert_eq!(found.said("pki-incomplete"), "");

    let stranger = age::x25519::Identity::generate().to_public().to_string();
    bundle(&bed, "pki", "strange.age", &stranger);
    for (name, said) in [
        ("strange.age", "for other recipients"),
        ("none.age", "there is no such file"),
        ("snapshots/a.db", "not encrypted"),
    ] {
        bed.inventory(&format!("{}[pki]\nbundle = '{name}'\n[age]\nidentity = 'age.key'\n", folder_source(&bed)));
        let found = bed.run(&["pki", "verify"]);
        assert!(found.code == 3 && found.said("pki-unreachable").contains(said), "{name}: {:?}", found.lines);
    }
    assert_eq!(bundle(&bed, "pki", "x.age", "age1nonsense").code, 2);
    std::fs::write(bed.path("pki/ca.key"), "no key").unwrap();
    assert!(bundle(&bed, "pki", "y.age", &recipient.to_string()).code == 3 && !bed.path("y.age").exists());
}

#[test]
fn a_set_and_a_bundle_in_a_bucket() {
    let (bed, server) = (Bed::new(), Server::s3(free_port(), false));
    set(&bed, "pki");
    let (_, recipient) = identity(&bed);
    bundle(&bed, "pki", "pki/prod.age", &recipient.to_string());
    let upload = "s3.create_bucket(Bucket='keys')\n\
                  for folder, _, names in os.walk('.'):\n for name in names:\n  path = os.path.relpath(os.path.join(folder, name))\n  s3.upload_file(path, 'keys', 'prod/' + path)\n";
    boto(server.port, upload, &bed.path("pki"));
    let port = server.port;
    let place = |bucket: &str| {
        format!(
            "[pki]\nobject_store = {{ url = 's3://{bucket}/prod', endpoint = 'http://127.0.0.1:{port}', allow_http = true }}\n"
        )
    };
    for more in ["", "bundle = 'prod.age'\n[age]\nidentity = 'age.key'\n"] {
        bed.inventory(&format!("{}{}{more}", folder_source(&bed), place("keys")));
        let found = bed.run(&["pki", "verify"]);
        assert!(found.code == 0 && found.said("pki-pair").lines().count() == 3, "{more}: {:?}", found.lines);
    }
    bed.inventory(&format!("{}{}", folder_source(&bed), place("none")));
    let found = bed.run(&["pki", "verify"]);
    assert!(found.code == 3 && found.said("pki-unreachable").contains("NoSuchBucket"), "{:?}", found.lines);
    // No key of it came to the disk.
    assert!(!bed.path("state/snapshots").exists());
}
