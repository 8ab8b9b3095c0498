//! Whether the key that a host shows is the host's.

use std::time::SystemTime;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};

use super::TransportError;
use super::known_hosts::{KnownHost, Marker, describe_key, principal_matches};

/// What is known of a host's key.
#[derive(Debug, Clone)]
pub(super) enum Trust {
    /// Nothing but this fingerprint, as `ssh-keygen -lf` prints it.
    Pinned(String),
    /// What the known hosts files say of the host with this name.
    Known {
        /// The lines.
        host: KnownHost,
        /// The name that a certificate must be for.
        name: String,
        /// The files that were read, for messages.
        files: String,
    },
}

/// Why a key is not to be trusted.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) expected: String,
    pub(super) found: String,
    /// The type of the key that was shown.
    pub(super) shown: Algorithm,
}

impl Refusal {
    pub(super) fn of(self, host: &str) -> TransportError {
        TransportError::HostKey {
            host: host.to_owned(),
            reason: self.reason,
            expected: self.expected,
            found: self.found,
        }
    }
}

impl Trust {
    /// `Ok` when the key may be trusted.
    pub(super) fn judge(&self, shown: &PublicKeyOrCertificate) -> Result<(), Refusal> {
        match (self, shown.certificate()) {
            (Self::Pinned(pin), _) => judge_pin(pin, &shown.public_key()),
            (Self::Known { host, name, files }, certificate) => {
                if let Some(certificate) = certificate
                    && let Some(verdict) = judge_certificate(host, name, certificate)
                {
                    return verdict;
                }
                judge_key(host, files, &shown.public_key())
            }
        }
    }

    /// The key types to ask for, those of the known keys first: a server shows only one key, and
    /// one of another type would look unknown.
    pub(super) fn key_order(&self) -> Vec<Algorithm> {
        let known = match self {
            Self::Pinned(_) => Vec::new(),
            Self::Known { host, .. } => host.algorithms(),
        };
        let mut order = ACCEPTED.to_vec();
        order.sort_by_key(|wanted| !known.iter().any(|known| same_type(known, wanted)));
        order
    }

    /// The types to ask certificates of: none unless an authority is known, for who shows a
    /// certificate doesn't show the bare key.
    pub(super) fn certificate_order(&self) -> Vec<Algorithm> {
        match self {
            Self::Known { host, .. } if host.marked(Marker::Authority).next().is_some() => ACCEPTED.to_vec(),
            Self::Known { .. } | Self::Pinned(_) => Vec::new(),
        }
    }
}

/// All but RSA with SHA-1.
const ACCEPTED: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// RSA keys are one type, whatever hash they sign with.
pub(super) fn same_type(one: &Algorithm, other: &Algorithm) -> bool {
    one == other || (matches!(one, Algorithm::Rsa { .. }) && matches!(other, Algorithm::Rsa { .. }))
}

fn judge_pin(pin: &str, key: &PublicKey) -> Result<(), Refusal> {
    let found = key.fingerprint(HashAlg::Sha256).to_string();
    // ssh-keygen leaves the padding out, other tools write it.
    if found == pin.trim_end_matches('=') {
        return Ok(());
    }
    Err(Refusal {
        reason: "it is not the one that the inventory pins".to_owned(),
        expected: format!("{pin} (host_key in the inventory)"),
        found: describe_key(key),
        shown: key.algorithm(),
    })
}

fn judge_key(host: &KnownHost, files: &str, key: &PublicKey) -> Result<(), Refusal> {
    let refuse = |reason: &str, expected: String| {
        Err(Refusal { reason: reason.to_owned(), expected, found: describe_key(key), shown: key.algorithm() })
    };
    if let Some(line) = host.find(Marker::Revoked, key) {
        return refuse("it is revoked", format!("any key but {}", line.describe()));
    }
    if host.find(Marker::Key, key).is_some() {
        return Ok(());
    }
    let known: Vec<_> = host.marked(Marker::Key).collect();
    let reason = if known.iter().any(|line| same_type(&line.key.algorithm(), &key.algorithm())) {
        "it changed"
    } else if known.is_empty() {
        "it is unknown"
    } else {
        "it is unknown, other keys of this host are known"
    };
    let expected = if known.is_empty() {
        format!("nothing is known of this host in {files}")
    } else {
        known.iter().map(|line| line.describe()).collect::<Vec<_>>().join(", or ")
    };
    refuse(reason, expected)
}

/// `None` when no known authority signed the certificate: then it is worth what its bare key is worth.
fn judge_certificate(host: &KnownHost, name: &str, certificate: &Certificate) -> Option<Result<(), Refusal>> {
    let authority = PublicKey::from(certificate.signature_key().clone());
    let found = format!("certificate \"{}\" signed by {}", certificate.key_id(), describe_key(&authority));
    let key = PublicKey::from(certificate.public_key().clone());
    let refuse = |reason: String, expected: String| {
        Some(Err(Refusal { reason, expected, found: found.clone(), shown: key.algorithm() }))
    };
    for revoked in [&authority, &key] {
        if let Some(line) = host.find(Marker::Revoked, revoked) {
            return refuse("it is revoked".to_owned(), format!("any key but {}", line.describe()));
        }
    }
    let line = host.find(Marker::Authority, &authority)?;
    match fault(certificate, &authority, name) {
        None => Some(Ok(())),
        Some(fault) => refuse(fault, format!("a valid host certificate by {}", line.describe())),
    }
}

/// What makes the certificate of a known authority invalid for the host.
fn fault(certificate: &Certificate, authority: &PublicKey, name: &str) -> Option<String> {
    if certificate.cert_type() != CertType::Host {
        return Some("its certificate is a user's".to_owned());
    }
    if matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
        return Some("its certificate is signed with SHA-1".to_owned());
    }
    if let Some(option) = certificate.critical_options().keys().next() {
        return Some(format!("its certificate has the unknown critical option `{option}`"));
    }
    let principals = certificate.valid_principals();
    let name = name.to_ascii_lowercase();
    if !principals.is_empty() && !principals.iter().any(|principal| principal_matches(principal, &name)) {
        return Some(format!("its certificate is for {} and not for {name}", principals.join(", ")));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if now < certificate.valid_after() {
        return Some("its certificate is not valid yet".to_owned());
    }
    if now >= certificate.valid_before() {
        return Some("its certificate is expired".to_owned());
    }
    let trusted = [authority.fingerprint(HashAlg::Sha256)];
    certificate
        .validate_at(now, &trusted)
        .err()
        .map(|_| "its certificate is not signed by the authority it names".to_owned())
}
