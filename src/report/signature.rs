//! Signatures of reports, as `ssh-keygen -Y sign` makes them and `ssh-keygen -Y verify` checks them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::keys::agent::client::AgentClient;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::{LineEnding, Signature, SshSig};
use russh::keys::{HashAlg, PrivateKey, PublicKey};
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::causes::chain;
use crate::inventory::SigningKey;
use crate::transport::{open_key, public_half};

/// What a signature is for: it is good for nothing else that the key signs.
pub const NAMESPACE: &str = "drctl-report@v1";

/// An agent may ask a person, who may be asleep.
const AGENT_PATIENCE: Duration = Duration::from_secs(30);

/// A report that could not be signed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key file is of no use.
    #[error("the signing key `{}` cannot be used: {reason}", path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The agent did not sign.
    #[error("the SSH agent did not sign with `{}`: {reason}", path.display())]
    Agent {
        /// The key file that says which key.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A key that is ready to sign.
pub struct Signer {
    path: PathBuf,
    key: Key,
}

enum Key {
    File(Box<PrivateKey>),
    Agent { socket: Box<AgentClient<UnixStream>>, key: Box<PublicKey> },
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.path.display())
    }
}

impl Signer {
    /// Opens the key file; one that is locked or only public may be open in the agent.
    pub async fn open(signing: &SigningKey) -> Result<Self, SignError> {
        let path = signing.key.clone();
        let useless = |reason: String| SignError::Key { path: path.clone(), reason };
        let passphrase = match &signing.passphrase {
            None => None,
            Some(secret) => Some(secret.read_line().await.map_err(|error| useless(chain(&error)))?),
        };
        let file = path.clone();
        // Opening an encrypted key takes a good part of a second on purpose.
        let opened = spawn_blocking(move || open_key(&file, passphrase.as_ref())).await;
        let key = match opened.map_err(|error| useless(error.to_string()))? {
            Ok(key) => Key::File(Box::new(key)),
            Err(fault) if fault.locked => {
                let public = public_half(&path).ok_or_else(|| useless(fault.reason.clone()))?;
                in_agent(&path, public, &fault.reason).await?
            }
            Err(fault) => return Err(useless(fault.reason)),
        };
        Ok(Self { path, key })
    }

    /// Signs a message: the text of a `.sig` file.
    pub async fn sign(&mut self, message: &[u8]) -> Result<String, SignError> {
        let path = self.path.clone();
        let useless = |reason: String| SignError::Key { path: path.clone(), reason };
        let hash = HashAlg::Sha512;
        let data = SshSig::signed_data(NAMESPACE, hash, message).map_err(|error| useless(error.to_string()))?;
        let (public, signature): (_, Signature) = match &mut self.key {
            Key::File(key) => {
                // By itself an RSA key may choose SHA-1, which `ssh-keygen` refuses.
                let signed = match key.key_data().rsa() {
                    Some(rsa) => (rsa, Some(hash)).try_sign(&data),
                    None => key.try_sign(&data),
                };
                (key.public_key().key_data().clone(), signed.map_err(|error| useless(error.to_string()))?)
            }
            Key::Agent { socket, key } => {
                let refused = |reason: String| SignError::Agent { path: path.clone(), reason };
                let wanted = key.algorithm().is_rsa().then_some(hash);
                let asked = timeout(AGENT_PATIENCE, socket.sign_request_signature(key, wanted, &data)).await;
                let signed = asked.map_err(|_| refused(format!("no answer in {AGENT_PATIENCE:?}")))?;
                (key.key_data().clone(), signed.map_err(|error| refused(error.to_string()))?)
            }
        };
        let signature = SshSig::new(public, NAMESPACE, hash, signature).and_then(|sig| sig.to_pem(LineEnding::LF));
        signature.map_err(|error| useless(error.to_string()))
    }
}

/// The key in the agent; `why` is why its file alone does not do.
async fn in_agent(path: &Path, key: PublicKey, why: &str) -> Result<Key, SignError> {
    let refused = |reason: String| SignError::Agent { path: path.to_owned(), reason: format!("{reason} ({why})") };
    let Some(socket) = std::env::var_os("SSH_AUTH_SOCK") else {
        return Err(refused("SSH_AUTH_SOCK names none".to_owned()));
    };
    let asking = async {
        let mut agent = AgentClient::connect_uds(socket).await?;
        let identities = agent.request_identities().await?;
        Ok::<_, russh::keys::Error>((agent, identities))
    };
    let answer = timeout(AGENT_PATIENCE, asking).await;
    let (agent, identities) = answer
        .map_err(|_| refused(format!("no answer in {AGENT_PATIENCE:?}")))?
        .map_err(|error| refused(error.to_string()))?;
    if !identities.iter().any(|identity| identity.public_key().key_data() == key.key_data()) {
        return Err(refused("it does not have the key".to_owned()));
    }
    Ok(Key::Agent { socket: Box::new(agent), key: Box::new(key) })
}
