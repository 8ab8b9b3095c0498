//! Is this the cluster's certificate authority? Known before a byte of it is placed.
//!
//! kubeadm loads `ca.crt` and `ca.key` and never asks whether they belong together, whether the certificate may sign, or
//! whether the cluster knows it. Here that is asked: [`examine`] for a pair by itself, [`Tie`] for the pair and a
//! snapshot, [`service_account`] for the keys that sign tokens. Every fault is told, not only the first, with what would
//! happen if one went on.

mod certificate;
mod fault;
mod key;
pub mod service_account;

use jiff::{SignedDuration, Timestamp};

use crate::inventory::Secret;

pub use certificate::{Certificate, Tie};
pub use fault::{Fault, PemError};
pub use key::{KeyError, KeyKind, PublicKey, public_key_of};

/// An authority that ends sooner than this is told: kubeadm's leaves last a year and end with it.
pub const SOON: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What was found in a pair of certificate and key.
#[derive(Debug)]
pub struct Examination {
    /// The certificate that kubeadm would sign with: the first of the file.
    pub authority: Option<Certificate>,
    /// The others of the file.
    pub bundle: Vec<Certificate>,
    /// All that is wrong.
    pub faults: Vec<Fault>,
}

impl Examination {
    /// Whether nothing was found that forbids going on.
    pub fn is_sound(&self) -> bool {
        !self.faults.iter().any(Fault::forbids)
    }
}

/// Examines an authority's certificate (PEM) together with its key (PEM), as of a point in time.
pub fn examine(certificate: &[u8], key: &Secret, at: Timestamp) -> Examination {
    let mut faults = Vec::new();
    let mut bundle = Certificate::all_in(certificate).unwrap_or_else(|fault| {
        faults.push(Fault::Certificate(fault));
        Vec::new()
    });
    let authority = (!bundle.is_empty()).then(|| bundle.remove(0));
    faults.extend(authority.iter().flat_map(|authority| authority.faults(at)));
    match (public_key_of(key), &authority) {
        (Err(fault), _) => faults.push(Fault::Key(fault)),
        (Ok(public), Some(authority)) if public != *authority.public_key() => faults.push(Fault::Mismatch {
            subject: authority.subject.clone(),
            expected: authority.public_key().sha256(),
            found: public.sha256(),
            other: bundle.iter().find(|other| *other.public_key() == public).map(|other| other.subject.clone()),
        }),
        (Ok(_), _) => {}
    }
    Examination { authority, bundle, faults }
}
