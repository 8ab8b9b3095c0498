//! The certificate authorities that a snapshot shows, each once, with all the places that show it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::snapshot::whole::Sha256Sum;

/// More than any cluster has; the rest is not looked at.
const MOST: usize = 64;
/// Longer than any certificate of an authority.
const LONGEST: usize = 64 << 10;

/// A certificate authority that the snapshot shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Authority {
    /// Its certificate.
    pub pem: String,
    /// The certificate's fingerprint.
    #[schemars(with = "String")]
    pub sha256: Sha256Sum,
    /// Which objects show it.
    pub found_in: BTreeSet<Witness>,
}

/// An object that shows an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// `kube-public/cluster-info`: what nodes that join are told.
    ClusterInfo,
    /// `kube-system/extension-apiserver-authentication`: what the API server accepts clients of.
    ApiServerAuthentication,
    /// `kube-root-ca.crt` of some namespace: what pods trust.
    RootCa,
    /// A service account's token Secret.
    ServiceAccountToken,
}

impl Authority {
    /// All certificates, one after the other.
    pub fn bundle(all: &[Self]) -> String {
        all.iter().map(|authority| authority.pem.as_str()).collect()
    }
}

/// Adds the certificates of a PEM text; false when there is none in it.
pub(super) fn add(all: &mut Vec<Authority>, pem: &[u8], witness: Witness) -> bool {
    let mut any = false;
    for der in CertificateDer::pem_slice_iter(pem).map_while(Result::ok) {
        any = true;
        let sha256 = Sha256Sum(Sha256::digest(&der).into());
        if let Some(known) = all.iter_mut().find(|known| known.sha256 == sha256) {
            known.found_in.insert(witness);
        } else if all.len() < MOST && der.len() <= LONGEST {
            all.push(Authority { pem: encode(&der), sha256, found_in: BTreeSet::from([witness]) });
        }
    }
    any
}

fn encode(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n");
    std::iter::once("-----BEGIN CERTIFICATE-----\n".into())
        .chain(lines)
        .chain(std::iter::once("-----END CERTIFICATE-----\n".into()))
        .collect()
}
