//! A certificate, as far as an authority's is concerned.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::fault::{Fault, PemError};
use super::key::PublicKey;
use crate::snapshot::whole::Sha256Sum;

/// A certificate that was read and understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is, such as `CN=kubernetes`.
    pub subject: String,
    /// Its first moment.
    pub not_before: Timestamp,
    /// Its last moment.
    pub not_after: Timestamp,
    /// The digest of its bytes: its fingerprint.
    pub sha256: Sha256Sum,
    public_key: PublicKey,
    is_authority: bool,
    may_sign: bool,
}

/// How an authority stands to those that a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tie {
    /// The snapshot holds this very certificate.
    Same,
    /// The snapshot holds another certificate of the same key and name: it was renewed, and what it signed stays valid.
    Renewed {
        /// The certificate in the snapshot.
        known: Certificate,
    },
    /// The snapshot's authorities have other keys or names: this one is another cluster's, or the cluster's before a rotation.
    Foreign {
        /// Those of the snapshot.
        known: Vec<Certificate>,
    },
    /// The snapshot shows no authority (all that holds one is missing or encrypted).
    Unknown,
}

impl Certificate {
    /// All certificates of a PEM file; at least one.
    pub fn all_in(pem: &[u8]) -> Result<Vec<Self>, PemError> {
        let mut all = Vec::new();
        for (index, block) in Pem::iter_from_buffer(pem).enumerate() {
            let block = block.map_err(|error| PemError::NotPem { reason: error.to_string() })?;
            if block.label == "CERTIFICATE" {
                let damaged = |reason: String| PemError::Damaged { entry: index + 1, reason };
                all.push(Self::parse(&block.contents).map_err(damaged)?);
            }
        }
        if all.is_empty() { Err(PemError::NoCertificate) } else { Ok(all) }
    }

    /// The certificates of a PEM text that can be read. Others prove nothing, and must not hide those that do.
    pub fn readable_in(pem: &[u8]) -> Vec<Self> {
        let blocks = Pem::iter_from_buffer(pem).filter_map(Result::ok).filter(|block| block.label == "CERTIFICATE");
        blocks.filter_map(|block| Self::parse(&block.contents).ok()).collect()
    }

    fn parse(der: &[u8]) -> Result<Self, String> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err(format!("{} bytes too many", rest.len()));
        }
        let constraints = certificate.basic_constraints().map_err(|error| error.to_string())?;
        let usage = certificate.key_usage().map_err(|error| error.to_string())?;
        let time = |at: i64| Timestamp::from_second(at).map_err(|error| error.to_string());
        Ok(Self {
            subject: certificate.subject().to_string(),
            not_before: time(certificate.validity().not_before.timestamp())?,
            not_after: time(certificate.validity().not_after.timestamp())?,
            sha256: Sha256Sum(Sha256::digest(der).into()),
            public_key: PublicKey::from_spki(certificate.public_key()),
            is_authority: constraints.is_some_and(|constraints| constraints.value.ca),
            may_sign: usage.is_none_or(|usage| usage.value.key_cert_sign()),
        })
    }

    /// Its public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// What keeps it from being a cluster's authority at a point in time.
    pub fn faults(&self, at: Timestamp) -> Vec<Fault> {
        let subject = || self.subject.clone();
        let mut faults = Vec::new();
        if !self.is_authority {
            faults.push(Fault::NotAuthority { subject: subject() });
        }
        if !self.may_sign {
            faults.push(Fault::MayNotSign { subject: subject() });
        }
        if at < self.not_before {
            faults.push(Fault::NotYet { subject: subject(), from: self.not_before });
        } else if at > self.not_after {
            faults.push(Fault::Expired { subject: subject(), since: self.not_after });
        } else if self.not_after.duration_since(at) < super::SOON {
            faults.push(Fault::Soon { subject: subject(), until: self.not_after });
        }
        faults
    }

    /// How it stands to the authorities that a snapshot holds. What counts are key and name: whoever trusts one certificate
    /// of both accepts what another of them signed.
    pub fn tie(&self, known: &[Self]) -> Tie {
        let is_same = |known: &&Self| known.public_key == self.public_key && known.subject == self.subject;
        let mut same_key = known.iter().filter(is_same);
        match same_key.clone().find(|known| known.sha256 == self.sha256).or_else(|| same_key.next()) {
            Some(known) if known.sha256 == self.sha256 => Tie::Same,
            Some(known) => Tie::Renewed { known: known.clone() },
            None if known.is_empty() => Tie::Unknown,
            None => Tie::Foreign { known: known.to_vec() },
        }
    }
}
