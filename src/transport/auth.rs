//! Logging in: which keys are offered, in which order, and what became of each.

use std::io;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tracing::debug;

use super::TransportError;
use super::connection::{Client, End};
use super::hop::Hop;
use super::identity::{Identity, Keyring, fingerprint};
use super::signer::KeyFile;

/// sshd's `MaxAuthTries`; one more, and it hangs up and holds it against us.
const MOST_TRIES: usize = 6;

/// An agent full of keys must leave some tries to the key files.
const MOST_AGENT_TRIES: usize = 4;

const AGENT_PATIENCE: Duration = Duration::from_secs(5);

/// Offers the inventory's key, the agent's keys, the SSH configuration's keys.
pub(super) async fn log_in(handle: &mut Handle<Client>, end: &End, hop: &Hop) -> Result<(), TransportError> {
    let keyring = hop.keyring().await?;
    let tried = keyring.left_out.clone();
    let mut login = Login { handle, end, hop, tried, offered: Vec::new(), tries: MOST_TRIES, rsa_hash: None };
    let (first, others) = keyring.identities.split_at(usize::from(keyring.chosen));
    if login.offer_files(first).await? || login.offer_agent(keyring).await? || login.offer_files(others).await? {
        return Ok(());
    }
    if login.offered.is_empty() {
        login.tried.push("there was nothing to offer".to_owned());
    }
    Err(login.failed())
}

struct Login<'a> {
    handle: &'a mut Handle<Client>,
    end: &'a End,
    hop: &'a Hop,
    tried: Vec<String>,
    offered: Vec<PublicKey>,
    tries: usize,
    /// What RSA keys sign with, once the server was asked.
    rsa_hash: Option<HashAlg>,
}

impl Login<'_> {
    async fn offer_files(&mut self, identities: &[Identity]) -> Result<bool, TransportError> {
        for identity in identities {
            let key = identity.key.public_key();
            if self.tries == 0 || self.offered.iter().any(|offered| offered.key_data() == key.key_data()) {
                continue;
            }
            self.offered.push(key.clone());
            let user = &self.hop.settings.user;
            let label = format!("{} ({})", identity.path.display(), fingerprint(key));
            let hash = self.hash_for(key).await?;
            if let Some(certificate) = identity.certificate.clone() {
                let mut signer = KeyFile(identity.key.clone());
                let answer = self.handle.authenticate_certificate_with(user, certificate, hash, &mut signer).await;
                if self.note(&format!("the certificate of {label}"), answer)? {
                    return Ok(true);
                }
            }
            let key = PrivateKeyWithHashAlg::new(identity.key.clone(), hash);
            let answer = self.handle.authenticate_publickey(user, key).await;
            if self.note(&label, answer)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn offer_agent(&mut self, keyring: &Keyring) -> Result<bool, TransportError> {
        let Some((mut agent, mut identities)) = self.ask_agent().await else { return Ok(false) };
        let named = |identity: &AgentIdentity| {
            let key = identity.public_key();
            keyring.public.iter().any(|named| named.key_data() == key.key_data())
        };
        if self.hop.settings.identities_only {
            identities.retain(named);
        }
        identities.sort_by_key(|identity| !named(identity));
        let mut left = MOST_AGENT_TRIES;
        for identity in identities {
            let key = identity.public_key().into_owned();
            let is_certificate = matches!(identity, AgentIdentity::Certificate { .. });
            let known = self.offered.iter().any(|offered| offered.key_data() == key.key_data());
            if left == 0 || self.tries == 0 || (known && !is_certificate) {
                continue;
            }
            left -= 1;
            let hash = self.hash_for(&key).await?;
            let label = format!("the agent's {} ({})", identity.comment(), fingerprint(&key));
            let user = self.hop.settings.user.clone();
            let answer = match identity {
                AgentIdentity::Certificate { certificate, .. } => {
                    self.handle.authenticate_certificate_with(user, certificate, hash, &mut agent).await
                }
                AgentIdentity::PublicKey { key, .. } => {
                    self.offered.push(key.clone());
                    self.handle.authenticate_publickey_with(user, key, hash, &mut agent).await
                }
            };
            if self.note(&label, answer)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The agent and its keys; an agent that doesn't answer is only noted.
    async fn ask_agent(&mut self) -> Option<(AgentClient<UnixStream>, Vec<AgentIdentity>)> {
        let socket = self.hop.settings.agent.as_ref()?;
        let binding = self.handle.agent_session_binding();
        let asking = async {
            let mut agent = AgentClient::connect_uds(socket).await?;
            if let Some(binding) = binding
                && let Err(error) = agent.bind_session(binding, false).await
            {
                // Only keys that are bound to destinations need it, and not every agent knows it.
                debug!(%error, "the agent does not bind sessions");
            }
            let identities = agent.request_identities().await?;
            Ok::<_, russh::keys::Error>((agent, identities))
        };
        match timeout(AGENT_PATIENCE, asking).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                self.tried.push(format!("the agent at {}: {error}", socket.display()));
                None
            }
            Err(_) => {
                self.tried.push(format!("the agent at {}: no answer", socket.display()));
                None
            }
        }
    }

    /// The hash to sign with; asked of the server only for RSA, because the answer may take a second.
    async fn hash_for(&mut self, key: &PublicKey) -> Result<Option<HashAlg>, TransportError> {
        if !key.algorithm().is_rsa() {
            return Ok(None);
        }
        if self.rsa_hash.is_some() {
            return Ok(self.rsa_hash);
        }
        let best = self
            .handle
            .best_supported_rsa_hash()
            .await
            .map_err(|error| self.hop.unreachable(io::Error::other(error)))?;
        // A server that doesn't say takes SHA-2 all the same, and SHA-1 is never used.
        self.rsa_hash = Some(best.flatten().unwrap_or(HashAlg::Sha256));
        Ok(self.rsa_hash)
    }

    /// Whether that was it. A connection that broke meanwhile says nothing about the key.
    fn note<E: std::fmt::Display>(
        &mut self,
        label: &str,
        answer: Result<AuthResult, E>,
    ) -> Result<bool, TransportError> {
        self.tries = self.tries.saturating_sub(1);
        let verdict = match answer {
            Ok(AuthResult::Success) => {
                debug!(host = self.hop.settings.name, key = label, "accepted");
                return Ok(true);
            }
            Ok(AuthResult::Failure { partial_success: true, remaining_methods }) => {
                let methods: Vec<&str> = remaining_methods.iter().map(Into::into).collect();
                format!("accepted, but the server wants {} too", methods.join(" or "))
            }
            Ok(AuthResult::Failure { .. }) => "refused".to_owned(),
            Err(error) => error.to_string(),
        };
        self.tried.push(format!("{label}: {verdict}"));
        if !self.handle.is_closed() {
            return Ok(false);
        }
        match self.end.dismissal() {
            Some(words) => {
                self.tried.push(format!("then the server hung up: {words}"));
                Err(self.failed())
            }
            None => Err(self
                .hop
                .unreachable(io::Error::other(format!("the server hung up during login: {}", self.end.reason())))),
        }
    }

    fn failed(&self) -> TransportError {
        let settings = &self.hop.settings;
        TransportError::Auth { host: settings.name.clone(), user: settings.user.clone(), tried: self.tried.join("; ") }
    }
}
