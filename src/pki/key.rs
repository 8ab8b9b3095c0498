//! Keys: the public half of a private one, and whether two are the same.

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use x509_parser::asn1_rs::Sequence;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo, X509Certificate};

use super::fault::PemError;
use crate::inventory::Secret;
use crate::snapshot::whole::Sha256Sum;

/// A public key, in the form that certificates hold.
#[derive(Debug, Clone)]
pub struct PublicKey {
    kind: KeyKind,
    spki: Vec<u8>,
    bits: Vec<u8>,
}

/// The kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA.
    Rsa,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// One that drctl can compare, and not use.
    Other,
}

/// A private key that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No private key in the file.
    #[error("no private key in it: expected `BEGIN RSA PRIVATE KEY`, `BEGIN EC PRIVATE KEY` or `BEGIN PRIVATE KEY`")]
    None,
    /// It needs a passphrase.
    #[error(
        "it is encrypted with a passphrase, which kubeadm cannot ask for: decrypt it (`openssl pkey -in … -out …`)"
    )]
    Encrypted,
    /// What stands between its lines is no key.
    #[error("it is damaged: what follows `BEGIN … PRIVATE KEY` is cut off or altered")]
    Damaged,
    /// Neither RSA of 2048 to 4096 bits, nor P-256, P-384, Ed25519; or damaged within.
    #[error("not a key that drctl can compare: damaged, or neither RSA (2048 to 4096 bits), P-256, P-384 nor Ed25519")]
    Unsupported,
}

const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const ED25519: &str = "1.3.101.112";

impl PublicKey {
    pub(super) fn from_spki(spki: &SubjectPublicKeyInfo<'_>) -> Self {
        let curve =
            || spki.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok()).map(|oid| oid.to_id_string());
        let kind = match spki.algorithm.algorithm.to_id_string().as_str() {
            RSA => KeyKind::Rsa,
            ED25519 => KeyKind::Ed25519,
            EC => match curve().as_deref() {
                Some(P256) => KeyKind::P256,
                Some(P384) => KeyKind::P384,
                Some(_) | None => KeyKind::Other,
            },
            _ => KeyKind::Other,
        };
        Self { kind, spki: spki.raw.to_vec(), bits: spki.subject_public_key.data.to_vec() }
    }

    fn parse(spki: &[u8]) -> Result<Self, String> {
        SubjectPublicKeyInfo::from_der(spki).map(|(_, spki)| Self::from_spki(&spki)).map_err(|error| error.to_string())
    }

    /// All public keys of a PEM file, be they by themselves or in certificates; at least one.
    pub fn all_in(pem: &[u8]) -> Result<Vec<Self>, PemError> {
        let mut all = Vec::new();
        for (index, block) in Pem::iter_from_buffer(pem).enumerate() {
            let block = block.map_err(|error| PemError::NotPem { reason: error.to_string() })?;
            let key = match block.label.as_str() {
                "PUBLIC KEY" => Self::parse(&block.contents),
                "RSA PUBLIC KEY" => {
                    let spki =
                        rustls::sign::public_key_to_spki(&rustls::pki_types::alg_id::RSA_ENCRYPTION, &block.contents);
                    Self::parse(&spki)
                }
                "CERTIFICATE" => X509Certificate::from_der(&block.contents)
                    .map(|(_, certificate)| Self::from_spki(certificate.public_key()))
                    .map_err(|error| error.to_string()),
                _ => continue,
            };
            all.push(key.map_err(|reason| PemError::Damaged { entry: index + 1, reason })?);
        }
        if all.is_empty() { Err(PemError::NoPublicKey) } else { Ok(all) }
    }

    /// Its kind.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The digest of its certificate form: what `kubeadm join --discovery-token-ca-cert-hash` takes.
    pub fn sha256(&self) -> Sha256Sum {
        Sha256Sum(Sha256::digest(&self.spki).into())
    }

    /// The key without the algorithm around it.
    pub(super) fn bits(&self) -> &[u8] {
        &self.bits
    }
}

/// The algorithm's parameters may be written in two ways, so only the key counts.
impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.bits == other.bits
    }
}

impl Eq for PublicKey {}

/// The public half of a private key in PEM.
pub fn public_key_of(key: &Secret) -> Result<PublicKey, KeyError> {
    let pem = key.expose();
    let says = |word: &[u8]| pem.windows(word.len()).any(|window| window == word);
    if says(b"BEGIN ENCRYPTED PRIVATE KEY") || says(b"Proc-Type: 4,ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    if !says(b"PRIVATE KEY-----") {
        return Err(KeyError::None);
    }
    let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::Damaged)?;
    if !is_whole(der.secret_der()) {
        return Err(KeyError::Damaged);
    }
    let key = rustls::crypto::ring::sign::any_supported_type(&der).map_err(|_| KeyError::Unsupported)?;
    let spki = key.public_key().ok_or(KeyError::Unsupported)?;
    PublicKey::parse(&spki).map_err(|_| KeyError::Unsupported)
}

/// Whether this is one ASN.1 sequence to its last byte, as every key is.
fn is_whole(der: &[u8]) -> bool {
    Sequence::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
}
