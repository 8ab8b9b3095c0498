//! The certificate authority: kubeadm would take each of these, or fail half way, after the target was changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};

use crate::site::Site;
use crate::support::{ADDRESS, Lab};

/// A certificate and its key, both PEM: an authority like kubeadm's, valid until the end of a year.
pub(crate) fn authority(until: i32) -> (String, String) {
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
    pub(crate) fn replace(&self, file: &str, text: &str) {
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
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR root CA: the key does not belong to the certificate `CN=kubernetes`: its public key should be sha256:[sha256], found sha256:[sha256] [ca-unfit]
              `[dir]/backup/pki/ca.crt`
              `[dir]/backup/pki/ca.key`
            -> look for the key that was saved with this certificate; `[pki]` may mix two clusters
               if one went on, `kubeadm init` would fail half way, or sign certificates that no node and no client accepts
    error: 1 error; the target was not touched: ca-unfit
      help: what to do is said with each of them
            to go on in spite of it: `--accept ca-unfit`
    "#);
}

#[test]
fn an_expired_authority() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    let (certificate, key) = authority(2016);
    site.replace("pki/ca.crt", &certificate);
    site.replace("pki/ca.key", &key);
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR root CA: `CN=kubernetes` expired at [time] [ca-unfit]
              `[dir]/backup/pki/ca.crt`
              `[dir]/backup/pki/ca.key`
            -> look for the renewed certificate of this CA, in another backup or on a node as `/etc/kubernetes/pki/ca.crt`
               if one went on, `kubeadm init` may still sign with it; nodes and clients would refuse the API server
      ERROR the CA is not the snapshot's [ca-foreign]
              expected: SHA256 [sha256]
              found:    SHA256 [sha256]
              `[dir]/backup/pki/ca.crt`
              `[dir]/backup/pki/ca.key`
            -> find the CA of this cluster, or the snapshot of that CA
               `kubeadm init` would exit 0 with this one, and every node and user would be locked out
    error: 2 errors; the target was not touched: ca-unfit, ca-foreign
      help: what to do is said with each of them
            to go on in spite of it: `--accept ca-unfit`, `--accept ca-foreign`
    "#);
}

#[test]
fn the_authority_of_another_cluster() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    let (certificate, key) = authority(2100);
    site.replace("pki/ca.crt", &certificate);
    site.replace("pki/ca.key", &key);
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR the CA is not the snapshot's [ca-foreign]
              expected: SHA256 [sha256]
              found:    SHA256 [sha256]
              `[dir]/backup/pki/ca.crt`
              `[dir]/backup/pki/ca.key`
            -> find the CA of this cluster, or the snapshot of that CA
               `kubeadm init` would exit 0 with this one, and every node and user would be locked out
    error: 1 error; the target was not touched: ca-foreign
      help: what to do is said with each of them
            to go on in spite of it: `--accept ca-foreign`
    "#);
}

#[test]
fn no_key() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    fs::remove_file(site.file("pki/ca.key")).expect("a key");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR `ca.key` of the cluster's root CA is not there: no such file: `[dir]/backup/pki/ca.key` [no-ca]
            -> put it there, or say where it is with `ca_key` in `[pki]`
               without it `kubeadm init` would make a new CA, and every node and user would be locked out
    error: 1 error; the target was not touched: no-ca
      help: what to do is said with each of them
    "#);
    site.pki.push_str("\nca_key = { env = \"DRCTL_TEST_NO_SUCH_KEY\" }");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR `ca.key`: the environment variable `DRCTL_TEST_NO_SUCH_KEY` is not set [pki-unreadable]
            -> `[pki]` says where it is taken from: the user that runs drctl must be able to read it
    error: 1 error; the target was not touched: pki-unreadable
      help: what to do is said with each of them
    "#);
}

#[test]
fn no_authority_at_all() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    fs::remove_dir_all(site.file("pki")).expect("a folder");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR `ca.crt` of the cluster's root CA is not there: no such file: `[dir]/backup/pki/ca.crt` [no-ca]
            -> put it there, or say where it is with `ca_crt` in `[pki]`
               without it `kubeadm init` would make a new CA, and every node and user would be locked out
      ERROR `ca.key` of the cluster's root CA is not there: no such file: `[dir]/backup/pki/ca.key` [no-ca]
            -> put it there, or say where it is with `ca_key` in `[pki]`
               without it `kubeadm init` would make a new CA, and every node and user would be locked out
      warn  `[pki]` has no `sa.pub`, no `sa.key`: every service-account token of the snapshot and of running pods is refused (401) until it is made anew [pki-incomplete]
            -> look for it in other backups; save it with the next one
      warn  `[pki]` has no `front-proxy-ca.crt`, no `front-proxy-ca.key`: a new one is made; aggregated APIs such as metrics-server may need a restart [pki-incomplete]
            -> look for it in other backups; save it with the next one
      warn  `[pki]` has no `etcd/ca.crt`, no `etcd/ca.key`: a new one is made; clients of etcd outside of the cluster need new certificates [pki-incomplete]
            -> look for it in other backups; save it with the next one
    error: 2 errors; the target was not touched: no-ca
      help: what to do is said with each of them
    "#);
}

#[test]
fn a_key_that_may_not_be_read() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.mode("pki/ca.key", 0);
    site.as_mortal = true;
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR `ca.key`: could not read `[dir]/backup/pki/ca.key`: Permission denied (os error 13) [pki-unreadable]
            -> `[pki]` says where it is taken from: the user that runs drctl must be able to read it
    error: 1 error; the target was not touched: pki-unreadable
      help: what to do is said with each of them
    "#);
}

#[test]
fn a_folder_that_may_not_be_looked_into() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.mode("pki/etcd", 0);
    site.as_mortal = true;
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR `etcd/ca.crt`: could not read `[dir]/backup/pki/etcd/ca.crt`: Permission denied (os error 13) [pki-unreadable]
            -> `[pki]` says where it is taken from: the user that runs drctl must be able to read it
      ERROR `etcd/ca.key`: could not read `[dir]/backup/pki/etcd/ca.key`: Permission denied (os error 13) [pki-unreadable]
            -> `[pki]` says where it is taken from: the user that runs drctl must be able to read it
    error: 2 errors; the target was not touched: pki-unreadable
      help: what to do is said with each of them
    "#);
}

#[test]
fn a_key_that_is_no_key() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    site.replace("pki/ca.key", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n");
    site.replace("pki/ca.crt", "");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR root CA: certificate: no `BEGIN CERTIFICATE` in it [ca-unfit]
              `[dir]/backup/pki/ca.crt`
              `[dir]/backup/pki/ca.key`
            -> name the certificate's file in `[pki]`, or take a whole copy from another backup
               if one went on, `kubeadm init` could not load it and would stop half way
      ERROR root CA: key: it is damaged: what follows `BEGIN … PRIVATE KEY` is cut off or altered [ca-unfit]
              `[dir]/backup/pki/ca.crt`
              `[dir]/backup/pki/ca.key`
            -> name the key's file in `[pki]`, or take a whole copy from another backup
               if one went on, `kubeadm init` would take the authority for one kept elsewhere and fail at the first certificate to sign
    error: 2 errors; the target was not touched: ca-unfit
      help: what to do is said with each of them
            to go on in spite of it: `--accept ca-unfit`, `--accept ca-unfit`
    "#);
}

#[test]
fn a_key_that_everybody_may_read_is_warned_of() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.mode("pki/ca.key", 0o644);
    site.args = vec!["check".to_owned()];
    assert_snapshot!(site.refusal(0), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      warn  the key `[dir]/backup/pki/ca.key` can be read by others (mode 0644) [key-too-open]
            -> `chmod 600 [dir]/backup/pki/ca.key`: whoever has it can become anybody in the cluster
    "#);
}

#[test]
fn the_service_accounts_key_of_another_cluster() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    site.replace("pki/sa.pub", &KeyPair::generate().expect("a key").public_key_pem());
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR service-account keys: sa.key is not the key that sa.pub is of: every token would be refused (401) [pki-unfit]
            -> look for the pair in other backups, or leave both out: then every service-account token is made anew
      ERROR `sa.pub` is not the snapshot's: it signed none of 8 service accounts' tokens [sa-foreign]
              `[dir]/backup/pki/sa.pub`
            -> find this cluster's `sa.pub` and `sa.key`
               if one went on, every service account's token would be refused (401): network, DNS and controllers in pods stop
    error: 2 errors; the target was not touched: pki-unfit, sa-foreign
      help: what to do is said with each of them
            to go on in spite of it: `--accept pki-unfit`, `--accept sa-foreign`
    "#);
}
