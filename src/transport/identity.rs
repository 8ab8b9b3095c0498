//! The keys that a login may be tried with.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey, decode_secret_key, load_openssh_certificate};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::TransportError;
use super::ssh_config::Settings;
use crate::inventory::Secret;

/// A key file that can be used.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    pub(super) key: Arc<PrivateKey>,
    pub(super) certificate: Option<Certificate>,
}

/// The key files of one host.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    /// The inventory's, before the SSH configuration's.
    pub(super) identities: Vec<Identity>,
    /// Whether the first one is the inventory's, which is tried before the agent.
    pub(super) chosen: bool,
    /// The public halves of all key files, also of those that can't be opened: what `IdentitiesOnly` lets the agent sign for.
    pub(super) public: Vec<PublicKey>,
    /// Why files that are there were left out.
    pub(super) left_out: Vec<String>,
}

/// Why a key file can't be used.
pub(crate) struct Fault {
    pub(crate) reason: String,
    missing: bool,
    /// It may be open in the agent.
    pub(crate) locked: bool,
}

impl Fault {
    fn useless(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), missing: false, locked: false }
    }

    fn locked(reason: &str) -> Self {
        Self { reason: reason.to_owned(), missing: false, locked: true }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self { missing: error.kind() == io::ErrorKind::NotFound, ..Self::useless(error.to_string()) }
    }
}

impl Keyring {
    /// Reads the files. What the inventory names must be usable, except that the agent may have a locked key open.
    pub(super) async fn load(settings: &Settings) -> Result<Self, TransportError> {
        let passphrase = match &settings.passphrase {
            None => None,
            Some(secret) => Some(secret.read_line().await.map_err(|error| TransportError::Config {
                what: format!("the passphrase for {}", settings.name),
                reason: error.to_string(),
            })?),
        };
        let settings = settings.clone();
        let name = settings.name.clone();
        // Opening an encrypted key takes a good part of a second on purpose.
        spawn_blocking(move || Self::read(&settings, passphrase.as_ref())).await.unwrap_or_else(|error| {
            Err(TransportError::Config { what: format!("the keys for {name}"), reason: error.to_string() })
        })
    }

    fn read(settings: &Settings, passphrase: Option<&Secret>) -> Result<Self, TransportError> {
        let mut keyring = Self::default();
        let mut certificates = Vec::new();
        for path in &settings.certificates {
            match load_openssh_certificate(path) {
                Ok(certificate) => certificates.push(certificate),
                Err(error) => keyring.left_out.push(format!("certificate {}: {error}", path.display())),
            }
        }
        let chosen = settings.identity.as_ref();
        for path in chosen.into_iter().chain(settings.identities.iter().filter(|path| Some(*path) != chosen)) {
            keyring.public.extend(public_half(path));
            match open(path, passphrase) {
                Ok(key) => {
                    let certificate = certificate_for(&key, path, &certificates);
                    keyring.chosen |= Some(path) == chosen;
                    keyring.identities.push(Identity { path: path.clone(), key: Arc::new(key), certificate });
                }
                Err(fault) if Some(path) == chosen && !(fault.locked && settings.agent.is_some()) => {
                    let what = format!("the identity `{}`", path.display());
                    return Err(TransportError::Config { what, reason: fault.reason });
                }
                // SSH's default names are tried on the off chance.
                Err(fault) if fault.missing => {}
                Err(fault) => keyring.left_out.push(format!("{}: {}", path.display(), fault.reason)),
            }
        }
        Ok(keyring)
    }
}

/// The certificate that was named for the key, or lies beside it.
fn certificate_for(key: &PrivateKey, path: &Path, named: &[Certificate]) -> Option<Certificate> {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-cert.pub");
    let beside = load_openssh_certificate(PathBuf::from(beside)).ok();
    named.iter().chain(&beside).find(|certificate| certificate.public_key() == key.public_key().key_data()).cloned()
}

/// The public half: beside the key, or in an OpenSSH key file, which doesn't encrypt it.
pub(crate) fn public_half(path: &Path) -> Option<PublicKey> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    PublicKey::read_openssh_file(PathBuf::from(beside))
        .or_else(|_| PrivateKey::read_openssh_file(path).map(|key| key.public_key().clone()))
        .or_else(|_| PublicKey::read_openssh_file(path))
        .ok()
}

/// Reads a private key.
pub(crate) fn open(path: &Path, passphrase: Option<&Secret>) -> Result<PrivateKey, Fault> {
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text)?;
    if PublicKey::from_openssh(&text).is_ok() {
        return Err(Fault::locked("it is a public key, and the agent has not the private one"));
    }
    // As OpenSSH does: files of other users are not judged by their mode.
    if meta.uid() == rustix::process::getuid().as_raw() && meta.mode() & 0o077 != 0 {
        return Err(Fault::useless(format!("others may read it (mode {:04o}); `chmod 600` it", meta.mode() & 0o7777)));
    }
    match (decode_secret_key(&text, None), passphrase) {
        (Ok(key), _) => Ok(key),
        (Err(russh::keys::Error::KeyIsEncrypted), None) => {
            Err(Fault::locked("it is encrypted and no passphrase is given"))
        }
        (Err(error), None) => Err(Fault::useless(error.to_string())),
        (Err(_), Some(secret)) => {
            let words =
                std::str::from_utf8(secret.expose()).map_err(|_| Fault::useless("its passphrase is not UTF-8"))?;
            decode_secret_key(&text, Some(words)).map_err(|_| Fault::useless("the passphrase does not open it"))
        }
    }
}

/// As messages name a key.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}
