//! Makes the inventory's paths absolute: `~` is the home folder, the rest starts where the file is.

use std::path::{Path, PathBuf};

use super::{Inventory, SecretRef, SshHost};
use crate::drill::providers::ProviderEntry;
use crate::sources::{ObjectStore, SourceEntry};

pub(super) fn resolve(inventory: &mut Inventory, folder: &Path) {
    let base = Base { folder, home: std::env::home_dir() };
    let cluster = &mut inventory.cluster;
    base.all([&mut cluster.kubeadm_config, &mut cluster.etcdutl, &mut cluster.admin_kubeconfig]);
    base.host(&mut inventory.target);
    for source in &mut inventory.sources {
        match source {
            SourceEntry::Folder(folder) => base.one(&mut folder.path),
            SourceEntry::Ssh(folder) => base.host(&mut folder.server),
            SourceEntry::ObjectStore(store) => base.store(store),
        }
    }
    let pki = &mut inventory.pki;
    base.all([&mut pki.dir, &mut pki.ca_crt, &mut pki.sa_pub, &mut pki.front_proxy_ca_crt, &mut pki.etcd_ca_crt]);
    for secret in [
        &mut pki.ca_key,
        &mut pki.sa_key,
        &mut pki.front_proxy_ca_key,
        &mut pki.etcd_ca_key,
        &mut pki.encryption_config,
    ] {
        base.secret(secret);
    }
    if let Some(folder) = &mut pki.ssh {
        base.host(&mut folder.server);
    }
    if let Some(store) = &mut pki.object_store {
        base.store(store);
    }
    // With one of those two it is a name there, and no path here.
    if pki.ssh.is_none() && pki.object_store.is_none() {
        base.all([&mut pki.bundle]);
    }
    base.secret(&mut inventory.age.identity);
    base.all([&mut inventory.state.dir, &mut inventory.report.metrics]);
    if let Some(signing) = &mut inventory.report.sign {
        base.one(&mut signing.key);
        base.secret(&mut signing.passphrase);
    }
    for path in inventory.drill.provider.iter_mut().flat_map(ProviderEntry::paths) {
        base.one(path);
    }
}

struct Base<'a> {
    folder: &'a Path,
    home: Option<PathBuf>,
}

impl Base<'_> {
    fn host(&self, host: &mut SshHost) {
        self.all([&mut host.identity, &mut host.certificate, &mut host.known_hosts]);
        self.secret(&mut host.identity_passphrase);
        if let Some(sudo) = &mut host.become_root {
            self.secret(&mut sudo.password);
        }
        // `none` is a word here, as it is for `ssh -F`.
        if host.ssh_config.as_deref() != Some(Path::new("none")) {
            self.all([&mut host.ssh_config]);
        }
        for jump in &mut host.jump {
            self.host(jump);
        }
    }

    fn store(&self, store: &mut ObjectStore) {
        self.all([&mut store.ca_crt]);
        self.secret(&mut store.authorization);
    }

    fn all<const N: usize>(&self, paths: [&mut Option<PathBuf>; N]) {
        for path in paths.into_iter().flatten() {
            self.one(path);
        }
    }

    fn secret(&self, secret: &mut Option<SecretRef>) {
        if let Some(SecretRef::File(path)) = secret {
            self.one(path);
        }
    }

    fn one(&self, path: &mut PathBuf) {
        *path = match (path.strip_prefix("~"), &self.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => self.folder.join(&*path),
        };
    }
}
