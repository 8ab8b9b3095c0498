//! The keys that sign service-account tokens, and the proof that they are the cluster's.
//!
//! A snapshot of a cluster before Kubernetes 1.24 holds tokens in its Secrets (unless they are encrypted). One that `sa.pub` verifies
//! shows, offline, that the pair is the cluster's: pods will go on with the tokens they have.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

use super::key::{KeyError, KeyKind, PublicKey, public_key_of};
use crate::inventory::Secret;

/// What a token says about keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// One of the keys signed it.
    Signed,
    /// None of them did.
    NotSigned,
    /// The token can't be read, or is signed in a way that drctl does not know.
    Unreadable,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// Whether one of the public keys is the private key's other half.
pub fn is_pair(public: &[PublicKey], key: &Secret) -> Result<bool, KeyError> {
    public_key_of(key).map(|half| public.contains(&half))
}

/// Whether one of the keys signed a token (a JWT). Its dates don't matter: the question is who signed it.
pub fn signed(public: &[PublicKey], token: &Secret) -> Proof {
    let Some((message, algorithm, signature)) = parts(token.expose()) else { return Proof::Unreadable };
    let Some((kind, algorithm)) = known(&algorithm) else { return Proof::Unreadable };
    let fits = |key: &&PublicKey| {
        key.kind() == kind && UnparsedPublicKey::new(algorithm, key.bits()).verify(message, &signature).is_ok()
    };
    if public.iter().any(|key| fits(&key)) { Proof::Signed } else { Proof::NotSigned }
}

/// `header.claims.signature`: the signed part, the header's algorithm, the signature.
fn parts(token: &[u8]) -> Option<(&[u8], String, Vec<u8>)> {
    let token = token.trim_ascii();
    let dot = token.iter().rposition(|&byte| byte == b'.')?;
    let (message, signature) = (&token[..dot], URL_SAFE_NO_PAD.decode(&token[dot + 1..]).ok()?);
    let header = message.split(|&byte| byte == b'.').next()?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    Some((message, header.alg, signature))
}

fn known(name: &str) -> Option<(KeyKind, &'static dyn VerificationAlgorithm)> {
    Some(match name {
        "RS256" => (KeyKind::Rsa, &RSA_PKCS1_2048_8192_SHA256),
        "RS384" => (KeyKind::Rsa, &RSA_PKCS1_2048_8192_SHA384),
        "RS512" => (KeyKind::Rsa, &RSA_PKCS1_2048_8192_SHA512),
        "ES256" => (KeyKind::P256, &ECDSA_P256_SHA256_FIXED),
        "ES384" => (KeyKind::P384, &ECDSA_P384_SHA384_FIXED),
        _ => return None,
    })
}
