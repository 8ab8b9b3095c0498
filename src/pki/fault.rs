//! What can be wrong with an authority, in words, with what it would lead to.

use jiff::Timestamp;
use thiserror::Error;

use super::key::KeyError;
use crate::snapshot::whole::Sha256Sum;

/// Something wrong with a certificate authority.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The certificate's file.
    #[error("certificate: {0}")]
    Certificate(PemError),
    /// The key's file.
    #[error("key: {0}")]
    Key(KeyError),
    /// It is not marked as an authority.
    #[error("`{subject}` is not a certificate authority: its basic constraints don't say CA:TRUE")]
    NotAuthority {
        /// Whose certificate.
        subject: String,
    },
    /// It is an authority that may not sign.
    #[error("`{subject}` may not sign certificates: its key usage lacks `Certificate Sign`")]
    MayNotSign {
        /// Whose certificate.
        subject: String,
    },
    /// It has ended.
    #[error("`{subject}` expired at {since}")]
    Expired {
        /// Whose certificate.
        subject: String,
        /// Its last moment.
        since: Timestamp,
    },
    /// It has not begun.
    #[error("`{subject}` is not valid before {from}: is a clock wrong?")]
    NotYet {
        /// Whose certificate.
        subject: String,
        /// Its first moment.
        from: Timestamp,
    },
    /// It ends soon.
    #[error("`{subject}` expires soon, at {until}")]
    Soon {
        /// Whose certificate.
        subject: String,
        /// Its last moment.
        until: Timestamp,
    },
    /// The key is not the certificate's.
    #[error(
        "the key does not belong to the certificate `{subject}`: its public key should be sha256:{expected}, \
         found sha256:{found}{}", other.as_ref().map(|other| format!(", which is `{other}`, later in the same file")).unwrap_or_default()
    )]
    Mismatch {
        /// Whose certificate.
        subject: String,
        /// The digest of the certificate's public key.
        expected: Sha256Sum,
        /// The digest of the key's public half.
        found: Sha256Sum,
        /// The certificate of the same file that the key does belong to.
        other: Option<String>,
    },
}

/// A PEM file that does not hold what it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PemError {
    /// No certificate in it.
    #[error("no `BEGIN CERTIFICATE` in it")]
    NoCertificate,
    /// No public key in it.
    #[error("no `BEGIN PUBLIC KEY` in it")]
    NoPublicKey,
    /// It is not PEM.
    #[error("not PEM: {reason}")]
    NotPem {
        /// What the reader found.
        reason: String,
    },
    /// The bytes within are no certificate.
    #[error("entry {entry} is damaged: {reason}")]
    Damaged {
        /// Which of the file's entries, from 1.
        entry: usize,
        /// What the reader found.
        reason: String,
    },
}

impl Fault {
    /// Whether a restore must not go on; the rest is a warning.
    pub fn forbids(&self) -> bool {
        match self {
            Self::Certificate(_)
            | Self::NotAuthority { .. }
            | Self::MayNotSign { .. }
            | Self::Expired { .. }
            | Self::NotYet { .. }
            | Self::Mismatch { .. } => true,
            Self::Key(fault) => !matches!(fault, KeyError::Unsupported),
            Self::Soon { .. } => false,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "name the certificate's file in `[pki]`, or take a whole copy from another backup",
            Self::Key(KeyError::Encrypted) => {
                "decrypt it, or let a command do so: `ca_key = { command = [\"…\"] }` in `[pki]`"
            }
            Self::Key(KeyError::Unsupported) => {
                "compare by hand: `openssl pkey -in ca.key -pubout` and `openssl x509 -in ca.crt -noout -pubkey`"
            }
            Self::Key(_) => "name the key's file in `[pki]`, or take a whole copy from another backup",
            Self::NotAuthority { .. } | Self::MayNotSign { .. } => {
                "name the root CA's own certificate in `[pki]`, not one that it signed"
            }
            Self::Expired { .. } => {
                "look for the renewed certificate of this CA, in another backup or on a node as `/etc/kubernetes/pki/ca.crt`"
            }
            Self::NotYet { .. } => "set the clock of this machine, if it is that one",
            Self::Soon { .. } => "nothing now",
            Self::Mismatch { .. } => {
                "look for the key that was saved with this certificate; `[pki]` may mix two clusters"
            }
        }
    }

    /// What would happen if one went on.
    pub fn consequence(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "`kubeadm init` could not load it and would stop half way",
            Self::Key(KeyError::Unsupported) => {
                "whether it belongs to the certificate is not known; if not, no certificate would be accepted"
            }
            Self::Key(_) => {
                "`kubeadm init` would take the authority for one kept elsewhere and fail at the first certificate to sign"
            }
            Self::NotAuthority { .. } | Self::MayNotSign { .. } => {
                "nodes and clients would refuse every certificate that it signs"
            }
            Self::Expired { .. } => {
                "`kubeadm init` may still sign with it; nodes and clients would refuse the API server"
            }
            Self::NotYet { .. } => "nodes and clients would refuse the API server until then",
            Self::Soon { .. } => "all certificates signed by it end with it: renew it once the cluster is back",
            Self::Mismatch { .. } => {
                "`kubeadm init` would fail half way, or sign certificates that no node and no client accepts"
            }
        }
    }
}
