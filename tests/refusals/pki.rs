//! The certificate authority: kubeadm would take each of these, or fail half way, after the target was changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};

use crate::site::Site;
use crate::support::{ADDRESS, Lab};

/// A certificate and its key, both PEM: an authority like kubeadm's, valid until the end of a year.
fn authority(until: i32) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "kubernetes");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = rcgen::date_time_ymd(2015, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

impl Site<'_> {
    fn replace(&self, file: &str, text: &str) {
        fs::write(self.file(file), text).expect("a file of the backup");
    }

    fn mode(&self, file: &str, mode: u32) {
        fs::set_permissions(self.file(file), Permissions::from_mode(mode)).expect("a file of the backup");
    }
}

#[test]
fn a_key_of_another_certificate() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    site.replace("pki/ca.key", &authority(2100).1);
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn an_expired_authority() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    let (certificate, key) = authority(2016);
    site.replace("pki/ca.crt", &certificate);
    site.replace("pki/ca.key", &key);
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn the_authority_of_another_cluster() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    let (certificate, key) = authority(2100);
    site.replace("pki/ca.crt", &certificate);
    site.replace("pki/ca.key", &key);
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn no_key() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    fs::remove_file(site.file("pki/ca.key")).expect("a key");
    assert_snapshot!(site.refusal(3), @"");
    site.pki.push_str("\nca_key = { env = \"DRCTL_TEST_NO_SUCH_KEY\" }");
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn no_authority_at_all() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    fs::remove_dir_all(site.file("pki")).expect("a folder");
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn a_key_that_may_not_be_read() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.mode("pki/ca.key", 0);
    site.as_mortal = true;
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn a_key_that_is_no_key() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    site.replace("pki/ca.key", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n");
    site.replace("pki/ca.crt", "");
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn a_key_that_everybody_may_read_is_warned_of() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.mode("pki/ca.key", 0o644);
    site.args = vec!["check".to_owned()];
    assert_snapshot!(site.refusal(0), @"");
}
