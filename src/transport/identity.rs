//! The keys that a login may be tried with.

use std::io::Read as _;
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

/// A key file that can't be used.
enum Fault {
    Missing,
    /// It may be of use through the agent.
    Locked(String),
    Useless(String),
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
                Err(Fault::Missing) if Some(path) != chosen => {}
                Err(fault) => {
                    let reason = match fault {
                        Fault::Missing => "there is no such file".to_owned(),
                        Fault::Locked(reason) | Fault::Useless(reason) if Some(path) != chosen => {
                            keyring.left_out.push(format!("{}: {reason}", path.display()));
                            continue;
                        }
                        Fault::Locked(reason) if settings.agent.is_some() => {
                            keyring.left_out.push(format!("{}: {reason}", path.display()));
                            continue;
                        }
                        Fault::Locked(reason) | Fault::Useless(reason) => reason,
                    };
                    return Err(TransportError::Config { what: format!("the identity `{}`", path.display()), reason });
                }
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
fn public_half(path: &Path) -> Option<PublicKey> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    PublicKey::read_openssh_file(PathBuf::from(beside))
        .or_else(|_| PrivateKey::read_openssh_file(path).map(|key| key.public_key().clone()))
        .or_else(|_| PublicKey::read_openssh_file(path))
        .ok()
}

fn open(path: &Path, passphrase: Option<&Secret>) -> Result<PrivateKey, Fault> {
    let useless = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::NotFound { Fault::Missing } else { Fault::Useless(error.to_string()) }
    };
    let mut file = std::fs::File::open(path).map_err(useless)?;
    let meta = file.metadata().map_err(useless)?;
    // As OpenSSH does: files of other users are not judged by their mode.
    if meta.uid() == rustix::process::getuid().as_raw() && meta.mode() & 0o077 != 0 {
        return Err(Fault::Useless(format!("others may read it (mode {:04o}); `chmod 600` it", meta.mode() & 0o7777)));
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(useless)?;
    match (decode_secret_key(&text, None), passphrase) {
        (Ok(key), _) => Ok(key),
        (Err(russh::keys::Error::KeyIsEncrypted), None) => {
            Err(Fault::Locked("it is encrypted and no passphrase is given".to_owned()))
        }
        (Err(error), None) if PublicKey::from_openssh(&text).is_ok() => {
            Err(Fault::Locked(format!("it is a public key, and only the agent could have the private one ({error})")))
        }
        (Err(error), None) => Err(Fault::Useless(error.to_string())),
        (Err(_), Some(secret)) => {
            let words = std::str::from_utf8(secret.expose())
                .map_err(|_| Fault::Useless("its passphrase is not UTF-8".to_owned()))?;
            decode_secret_key(&text, Some(words))
                .map_err(|_| Fault::Useless("the passphrase does not open it".to_owned()))
        }
    }
}

/// As messages name a key.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}
