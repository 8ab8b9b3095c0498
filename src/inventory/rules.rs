//! What the types of an inventory cannot say: forms of names, and keys that exclude or need each other.

use std::net::IpAddr;

use super::{BecomeMethod, Inventory, Pki, SecretRef, Span, SshHost, values};
use crate::document::{Document, Fault, Located};
use crate::sources::{Location, ObjectStore, Provider, SourceEntry, SshFolder, any_db};

pub(super) fn check(inventory: &Inventory, root: &Located<'_>, document: &mut Document) {
    let mut rules = Rules { root, document };
    rules.cluster(inventory);
    rules.host("target", &inventory.target);
    rules.sources(&inventory.sources);
    rules.pki(&inventory.pki);
    rules.secret("age.identity", inventory.age.identity.as_ref());
    rules.policy(inventory);
    rules.fencing(inventory);
    let passphrase = inventory.report.sign.as_ref().and_then(|signing| signing.passphrase.as_ref());
    rules.secret("report.sign.passphrase", passphrase);
}

struct Rules<'r, 't> {
    root: &'r Located<'t>,
    document: &'r mut Document,
}

impl Rules<'_, '_> {
    /// Records something wrong at a dotted path; nothing when that path was filled in by the reader.
    fn wrong(&mut self, path: &str, message: impl Into<String>, help: &str) {
        if let Some(span) = self.root.span(path) {
            self.document.fault(Fault::new(span, message, "wrong here", help.to_owned()));
        }
    }

    fn cluster(&mut self, inventory: &Inventory) {
        let cluster = &inventory.cluster;
        if !is_file_name(&cluster.name) {
            let help = "use letters, digits, `-`, `_` and `.`, at most 63, and a letter or digit first";
            self.wrong("cluster.name", format!("`{}` cannot be a cluster's name", cluster.name), help);
        }
        if let Some(uid) = cluster.uid.as_deref().filter(|uid| !is_uid(uid)) {
            let help = "write what `kubectl get namespace kube-system -o jsonpath={.metadata.uid}` prints";
            self.wrong("cluster.uid", format!("`{uid}` is not a UID"), help);
        }
        self.endpoint("cluster.endpoint", &cluster.endpoint);
        if let Some(version) = cluster.kubernetes.as_deref().filter(|version| !is_version(version)) {
            let help = "write major, minor and patch without a `v`, such as `1.20.2`";
            self.wrong("cluster.kubernetes", format!("`{version}` is not a Kubernetes version"), help);
        }
        if let Some(address) = cluster.advertise_address.as_deref().filter(|address| address.parse::<IpAddr>().is_err())
        {
            let help = "write an IPv4 or IPv6 address without a port";
            self.wrong("cluster.advertise_address", format!("`{address}` is not an IP address"), help);
        }
        if let Some(name) = cluster.node_name.as_deref().filter(|name| !is_node_name(name)) {
            let help = "use lower-case letters, digits, `-` and `.`, as Kubernetes does";
            self.wrong("cluster.node_name", format!("`{name}` cannot be a node's name"), help);
        }
        if cluster.kubeadm_config.is_some() && cluster.kubeadm_config_inline.is_some() {
            let message = "`kubeadm_config` and `kubeadm_config_inline` are both set";
            self.wrong("cluster.kubeadm_config_inline", message, "keep the one that is meant");
        }
    }

    fn endpoint(&mut self, path: &str, text: &str) {
        if values::split_endpoint(text).is_none() {
            let help = "write `host:port`, such as `10.0.0.10:6443` or `[fd00::10]:6443`";
            self.wrong(path, format!("`{text}` is not `host:port`"), help);
        }
    }

    fn host(&mut self, path: &str, host: &SshHost) {
        self.login(path, host);
        for (index, jump) in host.jump.iter().enumerate() {
            let path = format!("{path}.jump.{index}");
            self.login(&path, jump);
            if !jump.jump.is_empty() {
                let help = "list all of them in order in the outer `jump`";
                self.wrong(&format!("{path}.jump"), "a jump host has jump hosts of its own", help);
            }
            if jump.become_root.is_some() {
                let help = "remove it: nothing runs on a jump host";
                self.wrong(&format!("{path}.become"), "`become` means nothing on a jump host", help);
            }
        }
    }

    fn login(&mut self, path: &str, host: &SshHost) {
        let at = |key: &str| format!("{path}.{key}");
        if !is_host(&host.host) {
            let help = "write a name, an address or a `Host` of the SSH configuration; the port has its own key";
            self.wrong(&at("host"), format!("`{}` is not a host", host.host), help);
        }
        if host.port == Some(0) {
            self.wrong(&at("port"), "port 0 is not a port", "SSH's own is 22");
        }
        if host.user.as_deref().is_some_and(|user| user.is_empty() || user.starts_with('-')) {
            self.wrong(&at("user"), "this is not a user", "write the login name, or remove the key");
        }
        if let Some(key) = host.host_key.as_deref().filter(|key| !is_fingerprint(key)) {
            let help =
                "write `SHA256:` and 43 characters, as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints them";
            self.wrong(&at("host_key"), format!("`{key}` is not a host key's fingerprint"), help);
        }
        self.secret(&at("identity_passphrase"), host.identity_passphrase.as_ref());
        if let Some(sudo) = &host.become_root {
            self.secret(&at("become.password"), sudo.password.as_ref());
            if sudo.method == BecomeMethod::None && sudo.password.is_some() {
                let help = "use `method = \"sudo\"`, or remove the password";
                self.wrong(&at("become.password"), "nothing asks for this password", help);
            }
        }
        for (key, span) in [("connect_timeout", host.connect_timeout), ("keepalive", host.keepalive)] {
            self.not_zero(&at(key), span);
        }
    }

    fn sources(&mut self, sources: &[SourceEntry]) {
        if sources.is_empty() {
            let help = "add `[[snapshots]]` with `folder.path = \"…\"`, with `ssh.server.host` and `ssh.path`, or with \
                        `object_store.url = \"…\"`";
            self.wrong("snapshots", "no place to find snapshots in", help);
        }
        for (index, source) in sources.iter().enumerate() {
            let at = |key: &str| format!("snapshots.{index}.{key}");
            match source {
                SourceEntry::Folder(folder) => {
                    if folder.path.as_os_str().is_empty() {
                        let help = "write the folder that snapshots are saved to";
                        self.wrong(&at("folder.path"), "the path is empty", help);
                    }
                    self.pattern(&at("folder.pattern"), &folder.pattern);
                }
                SourceEntry::Ssh(folder) => {
                    self.remote_folder(&at("ssh"), folder);
                    self.pattern(&at("ssh.pattern"), &folder.pattern);
                }
                SourceEntry::ObjectStore(store) => {
                    self.store(&at("object_store"), store);
                    self.pattern(&at("object_store.pattern"), &store.pattern);
                }
            }
        }
    }

    fn remote_folder(&mut self, path: &str, folder: &SshFolder) {
        self.host(&format!("{path}.server"), &folder.server);
        if folder.path.is_empty() {
            self.wrong(&format!("{path}.path"), "the path is empty", "write the folder that the files are in");
        } else if !folder.path.starts_with('/') {
            let help = "write an absolute path of the server";
            self.wrong(&format!("{path}.path"), format!("`{}` is not an absolute path", folder.path), help);
        }
    }

    fn pattern(&mut self, at: &str, pattern: &str) {
        if pattern.is_empty() {
            let help = "`*` stands for any characters, `?` for one";
            self.wrong(at, "the pattern is empty, which no name is", help);
        }
    }

    fn no_pattern(&mut self, at: &str, pattern: &str) {
        if pattern != any_db() {
            self.wrong(
                at,
                "the PKI's files have names of their own, so a pattern means nothing here",
                "remove the key",
            );
        }
    }

    fn store(&mut self, path: &str, store: &ObjectStore) {
        let at = |key: &str| format!("{path}.{key}");
        self.secret(&at("authorization"), store.authorization.as_ref());
        self.not_zero(&at("reconnect_for"), Some(store.reconnect_for));
        let location = match Location::parse(&store.url) {
            Ok(location) => location,
            Err(reason) => {
                let help = "write `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, \
                            `https://HOST/FOLDER/` or `https://HOST/FILE`; credentials come from the environment";
                return self.wrong(&at("url"), reason, help);
            }
        };
        let provider = location.provider;
        if !matches!(provider, Provider::S3 | Provider::Gcs | Provider::Azure) && store.endpoint.is_some() {
            self.wrong(&at("endpoint"), "this URL names its server itself", "remove the key");
        }
        if provider != Provider::S3 && store.region.is_some() {
            self.wrong(&at("region"), "only S3 has regions", "remove the key");
        }
        if provider != Provider::Http && store.authorization.is_some() {
            let help = "remove the key: this provider's credentials come from its own variables and files";
            self.wrong(&at("authorization"), "only web servers take this", help);
        }
        let is_plain = |url: &str| url.starts_with("http://");
        if !store.allow_http && (is_plain(&store.url) || store.endpoint.as_deref().is_some_and(is_plain)) {
            let key = if is_plain(&store.url) { "url" } else { "endpoint" };
            let help = "write `https://`, or set `allow_http = true` where nobody can listen";
            self.wrong(&at(key), "`http://` shows the cluster's secrets to whoever listens", help);
        }
    }

    fn pki(&mut self, pki: &Pki) {
        let places = [
            ("dir", pki.dir.is_some()),
            ("ssh", pki.ssh.is_some()),
            ("object_store", pki.object_store.is_some()),
            ("bundle", pki.bundle.is_some() && pki.ssh.is_none() && pki.object_store.is_none()),
        ];
        let mut named = places.iter().filter(|(_, named)| *named).map(|(key, _)| *key);
        match (named.next(), named.next()) {
            (None, _) if pki.ca_crt.is_none() || pki.ca_key.is_none() => {
                let help = "set `dir` to a folder with `ca.crt` and `ca.key`, name `ssh`, `object_store` or `bundle`, \
                            or set both `ca_crt` and `ca_key`";
                self.wrong("pki", "nothing says where the root CA is", help);
            }
            (Some(first), Some(second)) => {
                let message = format!("`{first}` and `{second}` are both set");
                self.wrong(&format!("pki.{second}"), message, "keep the one that is meant; single files win over it");
            }
            _ => {}
        }
        if let Some(folder) = &pki.ssh {
            self.remote_folder("pki.ssh", folder);
            self.no_pattern("pki.ssh.pattern", &folder.pattern);
        }
        if let Some(store) = &pki.object_store {
            self.store("pki.object_store", store);
            self.no_pattern("pki.object_store.pattern", &store.pattern);
        }
        let keys = [
            ("pki.ca_key", &pki.ca_key),
            ("pki.sa_key", &pki.sa_key),
            ("pki.front_proxy_ca_key", &pki.front_proxy_ca_key),
            ("pki.etcd_ca_key", &pki.etcd_ca_key),
            ("pki.encryption_config", &pki.encryption_config),
        ];
        for (path, key) in keys {
            self.secret(path, key.as_ref());
        }
    }

    fn secret(&mut self, path: &str, secret: Option<&SecretRef>) {
        let empty = match secret {
            None => false,
            Some(SecretRef::File(path)) => path.as_os_str().is_empty(),
            Some(SecretRef::Env(name)) => name.is_empty(),
            Some(SecretRef::Command(words)) => words.first().is_none_or(String::is_empty),
            Some(SecretRef::Prompt(question)) => question.text().is_empty(),
        };
        if empty {
            self.wrong(path, "this says nothing of where the secret is", "fill it in, or remove the key");
        }
    }

    fn policy(&mut self, inventory: &Inventory) {
        let policy = &inventory.policy;
        self.not_zero("policy.max_snapshot_age", Some(policy.max_snapshot_age));
        self.not_zero("policy.max_clock_skew", Some(policy.max_clock_skew));
        self.not_zero("policy.step_timeout", Some(policy.step_timeout));
    }

    fn not_zero(&mut self, path: &str, span: Option<Span>) {
        if span == Some(Span::from_secs(0)) {
            self.wrong(path, "a limit of nothing can never be kept", "write for example `30s` or `10m`");
        }
    }

    fn fencing(&mut self, inventory: &Inventory) {
        let fencing = &inventory.fencing;
        if fencing.command.as_ref().is_some_and(|words| words.first().is_none_or(String::is_empty)) {
            let help = "write the program and its arguments, one by one, or remove the key";
            self.wrong("fencing.command", "the command is empty", help);
        }
        for (index, endpoint) in fencing.must_not_answer.iter().enumerate() {
            self.endpoint(&format!("fencing.must_not_answer.{index}"), endpoint);
        }
    }
}

fn is_file_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= 63 && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && name.bytes().all(plain)
}

/// 32 hexadecimal digits in five groups.
fn is_uid(uid: &str) -> bool {
    let groups = [8, 4, 4, 4, 12];
    let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    uid.split('-').map(str::len).eq(groups) && uid.split('-').all(hex)
}

fn is_node_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(plain) && !part.starts_with('-') && !part.ends_with('-');
    name.len() <= 253 && name.split('.').all(part)
}

/// A name, an address or an alias; what SSH would take for an option or two words is not.
fn is_host(host: &str) -> bool {
    let odd = |character: char| character.is_whitespace() || character.is_control() || "/@'\"".contains(character);
    let named_port = host.matches(':').count() == 1;
    !host.is_empty() && !host.starts_with('-') && !host.contains(odd) && !named_port
}

fn is_version(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    core.split('.').count() == 3 && core.split('.').all(number) && version.bytes().all(word)
}

/// `SHA256:` and the unpadded base64 of 32 bytes.
fn is_fingerprint(text: &str) -> bool {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.strip_prefix("SHA256:").is_some_and(|hash| hash.len() == 43 && hash.bytes().all(base64))
}
