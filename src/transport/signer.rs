//! A key file that signs for its certificate.

use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::Error;
use russh::keys::{HashAlg, PrivateKey};
use russh::{AgentAuthError, Signer};

/// russh's own way with certificates signs RSA with SHA-1, which servers refuse.
pub(super) struct KeyFile(pub(super) Arc<PrivateKey>);

impl Signer for KeyFile {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, AgentAuthError> {
        let signature = match self.0.key_data().rsa() {
            Some(key) => (key, hash).try_sign(&data),
            None => self.0.try_sign(&data),
        };
        let signature = signature.map_err(|error| failed(error.into()))?;
        signature.encode_prefixed(&mut data).map_err(|error| failed(error.into()))?;
        Ok(data)
    }
}

fn failed(error: Error) -> AgentAuthError {
    AgentAuthError::Key(error.into())
}
