//! Authorities of every kind that kubeadm takes, made by openssl, and each way in which one can be wrong.
#![expect(clippy::unwrap_used, reason = "tests say what went wrong by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use drctl::inventory::Secret;
use drctl::pki::service_account::{Proof, is_pair, signed};
use drctl::pki::{Certificate, Fault, KeyError, KeyKind, PemError, PublicKey, Tie, examine};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

/// A folder in which openssl makes keys and certificates.
struct Workshop(TempDir);

const RSA: &[&str] = &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const P256: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const ED25519: &[&str] = &["ED25519"];
const AUTHORITY: &[&str] = &["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,digitalSignature"];

impl Workshop {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn secret(&self, name: &str) -> Secret {
        Secret::new(self.read(name))
    }

    fn key(&self, name: &str, kind: &[&str]) {
        self.openssl(&[&["genpkey", "-out", name, "-algorithm"], kind].concat());
    }

    /// A certificate for a year of a key that is there already.
    fn certificate(&self, name: &str, key: &str, extensions: &[&str]) {
        self.certificate_of(name, name, key, extensions);
    }

    /// The same for another common name than the file's.
    fn certificate_of(&self, whose: &str, name: &str, key: &str, extensions: &[&str]) {
        fs::write(self.path("req.cnf"), "[req]\ndistinguished_name=dn\n[dn]\n").unwrap();
        let subject = format!("/CN={whose}");
        let mut arguments = vec!["req", "-x509", "-config", "req.cnf", "-key", key, "-out", name, "-days", "365"];
        arguments.extend(["-subj", &subject]);
        arguments.extend(extensions.iter().flat_map(|extension| ["-addext", extension]));
        self.openssl(&arguments);
    }

    fn authority(&self, kind: &[&str]) {
        self.key("ca.key", kind);
        self.certificate("ca.crt", "ca.key", AUTHORITY);
    }

    fn faults(&self, certificate: &str, key: &str, at: Timestamp) -> Vec<Fault> {
        examine(&self.read(certificate), &self.secret(key), at).faults
    }
}

/// In the middle of a certificate's year.
fn today() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24)
}

#[test]
fn sound_pairs_of_every_kind() {
    for (kind, expected) in
        [(RSA, KeyKind::Rsa), (P256, KeyKind::P256), (P384, KeyKind::P384), (ED25519, KeyKind::Ed25519)]
    {
        let shop = Workshop::new();
        shop.authority(kind);
        let examined = examine(&shop.read("ca.crt"), &shop.secret("ca.key"), today());
        assert_eq!(examined.faults, [], "{kind:?}");
        assert!(examined.is_sound());
        assert_eq!(examined.authority.unwrap().public_key().kind(), expected);
        shop.key("other.key", kind);
        assert!(matches!(shop.faults("ca.crt", "other.key", today())[..], [Fault::Mismatch { .. }]), "{kind:?}");
    }
}

#[test]
fn keys_in_their_older_forms() {
    for kind in [RSA, P256, P384] {
        let shop = Workshop::new();
        shop.authority(kind);
        shop.openssl(&["pkey", "-in", "ca.key", "-traditional", "-out", "old.key"]);
        let old = String::from_utf8(shop.read("old.key")).unwrap();
        assert!(old.contains("BEGIN RSA PRIVATE KEY") || old.contains("BEGIN EC PRIVATE KEY"));
        assert_eq!(shop.faults("ca.crt", "old.key", today()), [], "{kind:?}");
        // `openssl ecparam -genkey` writes the curve first, by itself.
        fs::write(
            shop.path("old.key"),
            format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{old}"),
        )
        .unwrap();
        assert_eq!(shop.faults("ca.crt", "old.key", today()), [], "{kind:?}");
    }
}

#[test]
fn keys_that_are_none() {
    let shop = Workshop::new();
    shop.authority(P256);
    shop.openssl(&["pkey", "-in", "ca.key", "-aes256", "-passout", "pass:x", "-out", "encrypted.key"]);
    shop.openssl(&["ec", "-in", "ca.key", "-aes256", "-passout", "pass:x", "-out", "old.key"]);
    fs::write(shop.path("empty.key"), "").unwrap();
    let pem = String::from_utf8(shop.read("ca.key")).unwrap();
    fs::write(shop.path("half.key"), &pem[..pem.len() / 2]).unwrap();
    fs::write(shop.path("damaged.key"), pem.replace("MIG", "AAA")).unwrap();
    for (name, expected) in [
        ("encrypted.key", KeyError::Encrypted),
        ("old.key", KeyError::Encrypted),
        ("empty.key", KeyError::None),
        ("ca.crt", KeyError::None),
        ("half.key", KeyError::Damaged),
        ("damaged.key", KeyError::Damaged),
    ] {
        assert_eq!(shop.faults("ca.crt", name, today()), [Fault::Key(expected)], "{name}");
    }
}

#[test]
fn certificates_that_are_no_authority() {
    let shop = Workshop::new();
    shop.authority(P256);
    shop.certificate("leaf.crt", "ca.key", &["basicConstraints=critical,CA:FALSE"]);
    shop.certificate(
        "mute.crt",
        "ca.key",
        &["basicConstraints=critical,CA:TRUE", "keyUsage=critical,digitalSignature"],
    );
    let subject = |name: &str| format!("CN={name}");
    assert_eq!(shop.faults("leaf.crt", "ca.key", today()), [Fault::NotAuthority { subject: subject("leaf.crt") }]);
    assert_eq!(shop.faults("mute.crt", "ca.key", today()), [Fault::MayNotSign { subject: subject("mute.crt") }]);
    assert_eq!(shop.faults("ca.key", "ca.key", today()), [Fault::Certificate(PemError::NoCertificate)]);
    let pem = String::from_utf8(shop.read("ca.crt")).unwrap();
    fs::write(shop.path("half.crt"), &pem[..pem.len() / 2]).unwrap();
    assert!(matches!(shop.faults("half.crt", "ca.key", today())[..], [Fault::Certificate(_)]));
    fs::write(shop.path("damaged.crt"), pem.replace("MI", "AA")).unwrap();
    assert!(matches!(shop.faults("damaged.crt", "ca.key", today())[..], [Fault::Certificate(_)]));
}

#[test]
fn dates() {
    let shop = Workshop::new();
    shop.authority(P256);
    let days = |days: i64| today() + SignedDuration::from_hours(24 * days);
    assert!(matches!(shop.faults("ca.crt", "ca.key", days(-10))[..], [Fault::NotYet { .. }]));
    assert!(matches!(shop.faults("ca.crt", "ca.key", days(400))[..], [Fault::Expired { .. }]));
    let soon = shop.faults("ca.crt", "ca.key", days(300));
    assert!(matches!(soon[..], [Fault::Soon { .. }]));
    assert!(!soon[0].forbids());
    // All at once, not only the first.
    shop.key("other.key", P256);
    shop.certificate("leaf.crt", "ca.key", &["basicConstraints=critical,CA:FALSE"]);
    assert_eq!(shop.faults("leaf.crt", "other.key", days(400)).len(), 3);
}

#[test]
fn a_renewed_authority_is_still_the_clusters() {
    let shop = Workshop::new();
    shop.authority(RSA);
    shop.certificate_of("ca.crt", "renewed.crt", "ca.key", AUTHORITY);
    shop.certificate("renamed.crt", "ca.key", AUTHORITY);
    shop.key("other.key", P256);
    shop.certificate("other.crt", "other.key", AUTHORITY);
    let load = |name: &str| Certificate::all_in(&shop.read(name)).unwrap().remove(0);
    let (placed, renewed, other) = (load("ca.crt"), load("renewed.crt"), load("other.crt"));
    assert_eq!(placed.tie(&[other.clone(), renewed.clone()]), Tie::Renewed { known: renewed.clone() });
    assert_eq!(placed.tie(&[renewed, placed.clone()]), Tie::Same);
    assert_eq!(placed.tie(std::slice::from_ref(&other)), Tie::Foreign { known: vec![other] });
    assert_eq!(placed.tie(&[]), Tie::Unknown);
    // Who trusts a name does not accept another, whatever its key.
    let renamed = load("renamed.crt");
    assert_eq!(placed.tie(std::slice::from_ref(&renamed)), Tie::Foreign { known: vec![renamed] });
}

#[test]
fn a_bundle_is_judged_by_its_first() {
    let shop = Workshop::new();
    shop.authority(P256);
    shop.key("next.key", P256);
    shop.certificate("next.crt", "next.key", AUTHORITY);
    fs::write(shop.path("bundle.crt"), [b"a comment\n".to_vec(), shop.read("next.crt"), shop.read("ca.crt")].concat())
        .unwrap();
    assert_eq!(shop.faults("bundle.crt", "next.key", today()), []);
    let faults = shop.faults("bundle.crt", "ca.key", today());
    assert!(matches!(&faults[..], [Fault::Mismatch { other: Some(other), .. }] if other == "CN=ca.crt"));
    assert!(faults[0].to_string().ends_with("which is `CN=ca.crt`, later in the same file"));
}

#[test]
fn service_account_keys() {
    for (kind, algorithm) in [(RSA, "RS256"), (P256, "ES256")] {
        let shop = Workshop::new();
        shop.key("sa.key", kind);
        shop.openssl(&["pkey", "-in", "sa.key", "-pubout", "-out", "sa.pub"]);
        shop.key("other.key", kind);
        shop.openssl(&["pkey", "-in", "other.key", "-pubout", "-out", "other.pub"]);
        let [public, other] = ["sa.pub", "other.pub"].map(|name| PublicKey::all_in(&shop.read(name)).unwrap());
        assert_eq!(is_pair(&public, &shop.secret("sa.key")), Ok(true));
        assert_eq!(is_pair(&public, &shop.secret("other.key")), Ok(false));
        if kind == RSA {
            let token = token(&shop, algorithm);
            assert_eq!(signed(&public, &token), Proof::Signed);
            assert_eq!(signed(&other, &token), Proof::NotSigned);
            assert_eq!(signed(&[other, public].concat(), &token), Proof::Signed);
        }
    }
}

fn token(shop: &Workshop, algorithm: &str) -> Secret {
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","kid":""}}"#));
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(r#"{"iss":"kubernetes/serviceaccount"}"#));
    fs::write(shop.path("message"), &message).unwrap();
    shop.openssl(&["dgst", "-sha256", "-sign", "sa.key", "-out", "signature", "message"]);
    Secret::new(format!("{message}.{}\n", URL_SAFE_NO_PAD.encode(shop.read("signature"))).into_bytes())
}

#[test]
fn what_is_no_token() {
    let shop = Workshop::new();
    shop.key("sa.key", RSA);
    shop.openssl(&["rsa", "-in", "sa.key", "-RSAPublicKey_out", "-out", "sa.pub"]);
    let public = PublicKey::all_in(&shop.read("sa.pub")).unwrap();
    assert_eq!(is_pair(&public, &shop.secret("sa.key")), Ok(true), "`BEGIN RSA PUBLIC KEY` is read too");
    for text in ["", ".", "a.b.c", "....", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(signed(&public, &Secret::new(text.as_bytes().to_vec())), Proof::Unreadable, "{text}");
    }
}
