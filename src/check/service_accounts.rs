//! Did the key that is placed sign the service accounts' tokens?

use super::Look;
use crate::actions::Finding;
use crate::inventory::Secret;
use crate::pki::PublicKey;
use crate::pki::service_account::{Proof, signed};

pub(super) fn check(look: &Look) -> Vec<Finding> {
    let read =
        |(name, read): &(String, Result<Secret, String>)| (name == "sa.pub").then(|| read.as_ref().ok().cloned());
    let Some(Some(public)) = look.pki_contents.iter().find_map(read) else { return Vec::new() };
    let Some(claims) = look.claims() else { return Vec::new() };
    let file = look.pki.get("sa.pub").and_then(|file| file.source.path());
    let place = file.map(|path| format!("\n  `{}`", path.display())).unwrap_or_default();
    judge(public.expose(), &claims.service_account_tokens, &place).into_iter().collect()
}

fn judge(public: &[u8], tokens: &[Secret], place: &str) -> Option<Finding> {
    // What is no key is told where the pair is examined.
    let keys = PublicKey::all_in(public).ok()?;
    let proofs: Vec<Proof> = tokens.iter().map(|token| signed(&keys, token)).collect();
    let count = |wanted: Proof| proofs.iter().filter(|proof| **proof == wanted).count();
    Some(match (count(Proof::Signed), count(Proof::NotSigned)) {
        (0, 0) => Finding::ok(
            "sa-unproven",
            "the snapshot shows no service account's token, so that `sa.pub` is the cluster's stays unproven",
        ),
        (0, foreign) => Finding::error(
            "sa-foreign",
            format!("`sa.pub` is not the snapshot's: it signed none of {foreign} service accounts' tokens{place}"),
            "find this cluster's `sa.pub` and `sa.key`\n\
             if one went on, every service account's token would be refused (401): network, DNS and controllers in pods stop",
        ),
        (ours, 0) => Finding::ok(
            "sa-of-snapshot",
            format!("`sa.pub` signed the snapshot's service accounts' tokens ({ours} tried)"),
        ),
        (ours, foreign) => Finding::warning(
            "sa-rotated",
            format!("`sa.pub` signed {ours} of {} service accounts' tokens of the snapshot{place}", ours + foreign),
            "the key was changed once: pods that hold an older token are refused (401) unless `sa.pub` holds both public keys",
        ),
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use rcgen::{KeyPair, SigningKey as _};

    use super::*;

    /// A signature of ASN.1's two numbers, as JWTs have it: 32 bytes each.
    fn fixed(signature: &[u8]) -> Vec<u8> {
        let number = |at: usize| {
            let length = usize::from(signature[at + 1]);
            let bytes = &signature[at + 2..at + 2 + length];
            let bytes = &bytes[bytes.len().saturating_sub(32)..];
            ([vec![0; 32 - bytes.len()], bytes.to_vec()].concat(), at + 2 + length)
        };
        let ((r, next), (s, _)) = (number(2), number(number(2).1));
        assert!(next < signature.len());
        [r, s].concat()
    }

    fn token(key: &KeyPair) -> Secret {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let message = format!("{}.{}", encode(br#"{"alg":"ES256"}"#), encode(b"{}"));
        let signature = key.sign(message.as_bytes()).unwrap();
        Secret::new(format!("{message}.{}", encode(&fixed(&signature))).into_bytes())
    }

    #[test]
    fn the_key_that_signed_the_tokens_is_the_clusters() {
        let (ours, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let public = ours.public_key_pem();
        let of = |tokens: &[Secret]| judge(public.as_bytes(), tokens, "").unwrap().name;
        assert_eq!(of(&[token(&ours)]), "sa-of-snapshot");
        assert_eq!(of(&[token(&other), token(&other)]), "sa-foreign");
        assert_eq!(of(&[token(&other), token(&ours)]), "sa-rotated");
        let both = format!("{public}{}", other.public_key_pem());
        assert_eq!(judge(both.as_bytes(), &[token(&other), token(&ours)], "").unwrap().name, "sa-of-snapshot");
    }

    #[test]
    fn what_cannot_be_proved_is_no_fault() {
        let public = KeyPair::generate().unwrap().public_key_pem();
        assert_eq!(judge(public.as_bytes(), &[], "").unwrap().name, "sa-unproven");
        assert_eq!(judge(public.as_bytes(), &[Secret::new(b"no token".to_vec())], "").unwrap().name, "sa-unproven");
        assert_eq!(judge(b"no key", &[], ""), None);
    }
}
