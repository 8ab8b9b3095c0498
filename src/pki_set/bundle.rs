//! A whole PKI set in one file: a tar, packed with zstd, encrypted with age. `age -d | zstd -d | tar t` reads it too.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::str::FromStr as _;

use thiserror::Error;
use zeroize::Zeroizing;

use super::LARGEST as LARGEST_FILE;
use crate::inventory::{PkiFiles, Secret};
use crate::packing::{Identities, Limit, Packing, PackingError, unpack};

/// No bundle is larger, packed or not.
pub const LARGEST: u64 = 16 << 20;

/// Who may open a bundle.
pub struct Recipients(Vec<age::x25519::Recipient>);

/// A bundle that could not be opened or made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It cannot be unpacked.
    #[error(transparent)]
    Packing(#[from] PackingError),
    /// Its keys lie open.
    #[error(
        "not encrypted: a bundle holds the cluster's keys, so one that anybody can read is refused (make it with `drctl pki bundle`)"
    )]
    NotEncrypted,
    /// What is within is no tar.
    #[error("what is within is no tar: {0}")]
    NotTar(String),
    /// An entry that no bundle has.
    #[error("the entry `{name}` is refused: {reason}")]
    Entry {
        /// Its name, as far as it is text.
        name: String,
        /// Why.
        reason: String,
    },
    /// Nobody could open it.
    #[error("`{0}` is not a recipient: write `age1…`, as `age-keygen -y` prints it")]
    Recipient(String),
    /// It could not be put together.
    #[error("could not put the bundle together: {0}")]
    Make(String),
}

impl Recipients {
    /// Reads `age1…`, each of which may open the bundle.
    pub fn parse(texts: &[String]) -> Result<Self, BundleError> {
        let one = |text: &String| {
            age::x25519::Recipient::from_str(text.trim()).map_err(|_| BundleError::Recipient(text.clone()))
        };
        texts.iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

impl std::fmt::Debug for Recipients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recipients({})", self.0.len())
    }
}

/// The files of a bundle by kubeadm's names.
pub fn open(packed: &[u8], identities: &Identities<'_>) -> Result<BTreeMap<&'static str, Secret>, BundleError> {
    let limit = Limit { bytes: LARGEST, why: "a bundle of certificates" };
    let mut tar = Zeroizing::new(Vec::new());
    let layers = unpack(packed, identities, limit, &mut *tar)?;
    if !layers.contains(&Packing::Age) {
        return Err(BundleError::NotEncrypted);
    }
    let odd = |error: std::io::Error| BundleError::NotTar(error.to_string());
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(tar.as_slice()).entries().map_err(odd)? {
        let mut entry = entry.map_err(odd)?;
        let bytes = entry.path_bytes().into_owned();
        let kind = entry.header().entry_type();
        let refused = |reason: &str| {
            let name = String::from_utf8_lossy(&bytes).escape_debug().to_string();
            Err(BundleError::Entry { name, reason: reason.to_owned() })
        };
        if kind.is_dir() && matches!(bytes.as_slice(), b"./" | b"." | b"etcd" | b"etcd/" | b"./etcd" | b"./etcd/") {
            continue;
        }
        let own = bytes.strip_prefix(b"./").unwrap_or(&bytes);
        let Some(name) = PkiFiles::names().find(|name| name.as_bytes() == own) else {
            return refused("only kubeadm's own names may be in a bundle: `ca.crt`, `etcd/ca.key` and so on");
        };
        if !kind.is_file() {
            return refused("it is no file");
        }
        if entry.size() > LARGEST_FILE {
            return refused("it is too large for a certificate or a key");
        }
        let mut content = Vec::with_capacity(usize::try_from(entry.size()).unwrap_or_default());
        entry.read_to_end(&mut content).map_err(odd)?;
        if files.insert(name, Secret::new(content)).is_some() {
            return refused("it is there twice");
        }
    }
    Ok(files)
}

/// Puts files into a bundle that the recipients, and nobody else, can open.
pub fn make(files: &[(&str, &Secret)], recipients: &Recipients) -> Result<Vec<u8>, BundleError> {
    let failed = |error: std::io::Error| BundleError::Make(error.to_string());
    let mut plain = Zeroizing::new(Vec::new());
    let mut tar = tar::Builder::new(&mut *plain);
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(content.expose().len() as u64);
        tar.append_data(&mut header, name, content.expose()).map_err(failed)?;
    }
    tar.into_inner().map_err(failed)?;
    let packed = Zeroizing::new(zstd::encode_all(plain.as_slice(), 0).map_err(failed)?);
    let each = recipients.0.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(each).map_err(|error| BundleError::Make(error.to_string()))?;
    let mut out = Vec::new();
    let mut writer = encryptor.wrap_output(&mut out).map_err(failed)?;
    writer.write_all(&packed).and_then(|()| writer.finish().map(drop)).map_err(failed)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::Identity;

    fn identities(key: &age::x25519::Identity) -> Identities<'_> {
        Identities::new(|| Ok(vec![Box::new(key.clone()) as Identity]))
    }

    fn encrypted(key: &age::x25519::Identity, tar: &[u8]) -> Vec<u8> {
        age::encrypt(&key.to_public(), tar).unwrap()
    }

    /// A tar whose names are written as they are, which `append_data` would not do.
    fn tar_of(entries: &[(&[u8], tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name);
            header.set_entry_type(*kind);
            if kind.is_symlink() {
                header.set_link_name("/etc/shadow").unwrap();
            }
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let (key, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
        let recipients = Recipients::parse(&[key.to_public().to_string(), other.to_public().to_string()]).unwrap();
        let (crt, secret) = (Secret::new(b"certificate".to_vec()), Secret::new(vec![7; 5000]));
        let packed = make(&[("ca.crt", &crt), ("etcd/ca.key", &secret)], &recipients).unwrap();
        for key in [&key, &other] {
            let files = open(&packed, &identities(key)).unwrap();
            assert_eq!(files.keys().copied().collect::<Vec<_>>(), ["ca.crt", "etcd/ca.key"]);
            assert!(files["ca.crt"].expose() == b"certificate" && files["etcd/ca.key"].expose() == [7; 5000]);
        }
        let stranger = age::x25519::Identity::generate();
        let error = open(&packed, &identities(&stranger)).unwrap_err();
        assert!(matches!(error, BundleError::Packing(PackingError::OtherRecipients)), "{error}");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        use tar::EntryType as Kind;
        let key = age::x25519::Identity::generate();
        let cases: [(&[u8], Kind, &str); 7] = [
            (b"../ca.key", Kind::Regular, "only kubeadm's own names"),
            (b"/etc/kubernetes/pki/ca.key", Kind::Regular, "only kubeadm's own names"),
            (b"etcd/../ca.key", Kind::Regular, "only kubeadm's own names"),
            (b"ca.key\n", Kind::Regular, "only kubeadm's own names"),
            (b"admin.conf", Kind::Regular, "only kubeadm's own names"),
            (b"ca.key", Kind::Symlink, "it is no file"),
            (b"other/", Kind::Directory, "only kubeadm's own names"),
        ];
        for (name, kind, said) in cases {
            let packed = encrypted(&key, &tar_of(&[(name, kind, b"")]));
            let error = open(&packed, &identities(&key)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let twice = tar_of(&[(b"ca.crt", Kind::Regular, b"1"), (b"./ca.crt", Kind::Regular, b"2")]);
        let error = open(&encrypted(&key, &twice), &identities(&key)).unwrap_err().to_string();
        assert_eq!(error, "the entry `./ca.crt` is refused: it is there twice");
        let folders = tar_of(&[
            (b"./", Kind::Directory, b""),
            (b"./etcd/", Kind::Directory, b""),
            (b"./etcd/ca.crt", Kind::Regular, b"1"),
        ]);
        assert_eq!(open(&encrypted(&key, &folders), &identities(&key)).unwrap().len(), 1);
    }

    #[test]
    fn keys_that_lie_open_are_refused() {
        let key = age::x25519::Identity::generate();
        let tar = tar_of(&[(b"ca.crt", tar::EntryType::Regular, b"1")]);
        for packed in [tar.clone(), zstd::encode_all(tar.as_slice(), 1).unwrap()] {
            assert!(matches!(open(&packed, &identities(&key)), Err(BundleError::NotEncrypted)));
        }
        let error = open(&encrypted(&key, b"no tar at all, but longer than nothing"), &identities(&key)).unwrap_err();
        assert!(matches!(error, BundleError::NotTar(_)), "{error}");
        assert!(matches!(Recipients::parse(&["age1x".to_owned()]), Err(BundleError::Recipient(_))));
    }
}
