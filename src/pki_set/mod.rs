//! The whole PKI set, wherever it is kept: on the controller, on another host, in an object store, or in one encrypted file.
//!
//! What is fetched from elsewhere is held in memory for as long as it is needed, and never written to the controller's disk.

pub mod bundle;
pub mod encryption;

use std::collections::BTreeMap;
use std::path::Path;

use tokio::runtime::Handle;

use crate::inventory::{Age, Fetched, Inventory, Pki, PkiFiles, Secret};
use crate::packing::Identities;
use crate::sources::{ObjectStore, RemoteFolder};

/// No file of a set is larger.
const LARGEST: u64 = 1 << 20;

/// Finds every file that the inventory tells of, and fetches those that are elsewhere.
pub async fn gather(inventory: &Inventory) -> PkiFiles {
    let fetched = fetch(&inventory.pki, &inventory.age).await;
    PkiFiles::find(&inventory.pki, fetched.as_ref())
}

/// What is not on the controller in files of its own.
async fn fetch(pki: &Pki, age: &Age) -> Option<Fetched> {
    let (place, label) = match (&pki.ssh, &pki.object_store, &pki.bundle) {
        (Some(folder), _, _) => match folder.connect() {
            Ok(remote) => (Elsewhere::Ssh(remote), folder.label()),
            Err(error) => return Some(Fetched { from: folder.label(), files: Err(error.to_string()) }),
        },
        (None, Some(store), _) => (Elsewhere::Store(store), store.url.clone()),
        (None, None, Some(bundle)) => (Elsewhere::Controller, format!("`{}`", bundle.display())),
        (None, None, None) => return None,
    };
    let Some(bundle) = &pki.bundle else {
        return Some(Fetched { from: label, files: place.all().await });
    };
    let from = match place {
        Elsewhere::Controller => format!("the bundle {label}"),
        _ => format!("the bundle `{}` of {label}", bundle.display()),
    };
    let opened = match place.read(&bundle.to_string_lossy(), bundle::LARGEST).await {
        Ok(Some(packed)) => open(packed, age).await,
        Ok(None) => Err("there is no such file".to_owned()),
        Err(reason) => Err(reason),
    };
    Some(Fetched { from, files: opened })
}

async fn open(packed: Secret, age: &Age) -> Result<BTreeMap<&'static str, Secret>, String> {
    let identities = Identities::of(age.identity.clone(), Handle::current());
    let opening = tokio::task::spawn_blocking(move || bundle::open(packed.expose(), &identities));
    opening.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// A place that files are read from.
enum Elsewhere<'a> {
    Controller,
    Ssh(RemoteFolder),
    Store(&'a ObjectStore),
}

impl Elsewhere<'_> {
    async fn all(&self) -> Result<BTreeMap<&'static str, Secret>, String> {
        let mut files = BTreeMap::new();
        for name in PkiFiles::names() {
            if let Some(content) = self.read(name, LARGEST).await? {
                files.insert(name, content);
            }
        }
        Ok(files)
    }

    async fn read(&self, name: &str, limit: u64) -> Result<Option<Secret>, String> {
        match self {
            Self::Controller => read_here(Path::new(name), limit),
            Self::Ssh(folder) => folder.read(name, limit).await,
            Self::Store(store) => store.read(name, limit).await,
        }
    }
}

fn read_here(path: &Path, limit: u64) -> Result<Option<Secret>, String> {
    let read = std::fs::metadata(path).and_then(|metadata| match metadata.len() {
        size if size > limit => Err(std::io::Error::other(format!("{size} bytes; {limit} are allowed"))),
        _ => std::fs::read(path),
    });
    match read {
        Ok(content) => Ok(Some(Secret::new(content))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
