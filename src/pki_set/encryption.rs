//! What opens the objects that a snapshot holds encrypted: where the API server looks for it, and whether it is the right one.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::inventory::{Cluster, ENCRYPTION_CONFIG, PkiFiles};
use crate::snapshot::{Claims, Encrypted};

/// Where it is placed when no configuration says: kubeadm's API server sees this folder.
pub const DEFAULT_PATH: &str = "/etc/kubernetes/pki/encryption-config.yaml";

/// The flag, and its name before Kubernetes 1.13.
const FLAGS: [&str; 2] = ["encryption-provider-config", "experimental-encryption-provider-config"];

/// What playbooks call it, with the path that it goes to: when it is there, and the snapshot or the API server needs it.
pub fn value(files: &PkiFiles, cluster: &Cluster, claims: &Claims) -> Option<(String, String)> {
    let there = files.get(ENCRYPTION_CONFIG).is_some_and(|file| file.found);
    let told = told_path(cluster, claims);
    (there && (told.is_some() || !claims.encrypted.is_empty()))
        .then(|| ("pki.encryption-config".to_owned(), told.unwrap_or_else(|| DEFAULT_PATH.to_owned())))
}

/// Where the API server is told to look for it: by the inventory's configuration, else by the one in the snapshot.
pub fn told_path(cluster: &Cluster, claims: &Claims) -> Option<String> {
    let file = || cluster.kubeadm_config.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
    let own = cluster.kubeadm_config_inline.clone().or_else(file);
    path_in(own.as_deref().or(claims.configuration.as_deref())?)
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Document {
    api_server: ApiServer,
    /// Before 1.12.
    api_server_extra_args: Option<Arguments>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ApiServer {
    extra_args: Option<Arguments>,
}

/// By name; a list since `v1beta4`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Arguments {
    Map(BTreeMap<String, String>),
    List(Vec<Argument>),
}

#[derive(Deserialize)]
struct Argument {
    name: String,
    value: String,
}

impl Arguments {
    fn get(&self, flag: &str) -> Option<&str> {
        match self {
            Self::Map(map) => map.get(flag).map(String::as_str),
            Self::List(list) => list.iter().find(|argument| argument.name == flag).map(|found| found.value.as_str()),
        }
    }
}

fn path_in(yaml: &str) -> Option<String> {
    let documents = yaml.split("\n---").map(|text| text.trim_start_matches("---"));
    let mut arguments = documents
        .filter_map(|text| serde_saphyr::from_str::<Document>(text).ok())
        .filter_map(|document| document.api_server.extra_args.or(document.api_server_extra_args));
    let absolute = |path: &&str| path.starts_with('/') && !path.split('/').any(|part| part == "..");
    arguments.find_map(|all| FLAGS.iter().find_map(|flag| all.get(flag)).filter(absolute).map(str::to_owned))
}

/// Those objects that no key of an `EncryptionConfiguration` opens, as far as keys have names.
pub fn unopened<'a>(config: &[u8], encrypted: &'a [Encrypted]) -> Result<Vec<&'a Encrypted>, String> {
    let text = std::str::from_utf8(config).map_err(|_| "not text".to_owned())?;
    let config: Configuration = serde_saphyr::from_str(text).map_err(|error| error.without_snippet().to_string())?;
    if config.kind != "EncryptionConfiguration" && config.kind != "EncryptionConfig" {
        return Err(format!("its kind is `{}`, and should be `EncryptionConfiguration`", config.kind));
    }
    let opens = |object: &Encrypted| {
        let rules =
            config.resources.iter().filter(|rule| rule.resources.iter().any(|name| covers(name, &object.resource)));
        rules.flat_map(|rule| &rule.providers).any(|provider| {
            provider.iter().any(|(kind, keys)| {
                object.cipher.provider.starts_with(kind.as_str())
                    && keys.as_ref().is_some_and(|keys| keys.names().any(|name| name == object.cipher.key))
            })
        })
    };
    Ok(encrypted.iter().filter(|object| !opens(object)).collect())
}

/// Whether a rule's name (`secrets`, `deployments.apps`, `*.apps`, `*.*`) means a resource as etcd's keys name it: custom ones
/// with their group (`cert-manager.io/certificates`), Kubernetes' own without.
fn covers(name: &str, resource: &str) -> bool {
    let (named, group) = name.split_once('.').unwrap_or((name, if name == "*" { "*" } else { "" }));
    let (own_group, kind) = resource.rsplit_once('/').map_or((None, resource), |(group, kind)| (Some(group), kind));
    let kind = match kind {
        "ingress" => "ingresses",
        "podsecuritypolicy" => "podsecuritypolicies",
        kind => kind,
    };
    (named == "*" || named == kind) && own_group.is_none_or(|own| group == "*" || group == own)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Configuration {
    kind: String,
    resources: Vec<Rule>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rule {
    resources: Vec<String>,
    providers: Vec<BTreeMap<String, Option<Provider>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Provider {
    /// A KMS plugin's own.
    name: Option<String>,
    keys: Vec<Key>,
}

/// Its secret is not read.
#[derive(Deserialize)]
struct Key {
    name: String,
}

impl Provider {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.name.as_str()).chain(self.name.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Cipher;

    #[test]
    fn the_path_in_every_form_of_the_configuration() {
        let cases = [
            (
                "apiServer:\n  extraArgs:\n    encryption-provider-config: /etc/kubernetes/enc/x.yaml\n",
                Some("/etc/kubernetes/enc/x.yaml"),
            ),
            (
                "kind: InitConfiguration\n---\napiServer:\n  extraArgs:\n  - name: v\n    value: '2'\n  - name: encryption-provider-config\n    value: /a/b\n",
                Some("/a/b"),
            ),
            ("apiServerExtraArgs:\n  experimental-encryption-provider-config: /a/c\n", Some("/a/c")),
            ("apiServer:\n  extraArgs:\n    encryption-provider-config: /etc/../root/x\n", None),
            ("apiServer:\n  extraArgs:\n    authorization-mode: Node,RBAC\n", None),
            ("apiServer: {}\n", None),
        ];
        for (yaml, path) in cases {
            assert_eq!(path_in(yaml).as_deref(), path, "{yaml}");
        }
    }

    fn encrypted(provider: &str, key: &str) -> Encrypted {
        let cipher = Cipher { provider: provider.to_owned(), key: key.to_owned() };
        Encrypted { resource: "secrets".to_owned(), cipher, objects: 1 }
    }

    #[test]
    fn the_key_that_the_snapshot_names_must_be_in_it() {
        let config = b"kind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n  - aescbc:\n      keys:\n      - {name: key2, secret: eA==}\n      - {name: key1, secret: eA==}\n  - kms: {name: vault, endpoint: unix:///x}\n  - identity: {}\n";
        let cases = [
            encrypted("aescbc", "key1"),
            encrypted("aescbc", "key9"),
            encrypted("secretbox", "key1"),
            encrypted("kms", "vault"),
        ];
        let unopened = unopened(config, &cases).unwrap();
        assert_eq!(unopened, [&cases[1], &cases[2]]);
        assert!(super::unopened(b"kind: Pod\n", &cases).unwrap_err().contains("`Pod`"));
        assert!(super::unopened(b"resources: 1\n", &cases).is_err());
    }

    #[test]
    fn resources_are_found_by_every_form_of_their_names() {
        for (name, resource, covered) in [
            ("secrets", "secrets", true),
            ("secrets", "configmaps", false),
            ("deployments.apps", "deployments", true),
            ("ingresses.networking.k8s.io", "ingress", true),
            ("certificates.cert-manager.io", "cert-manager.io/certificates", true),
            ("certificates.example.com", "cert-manager.io/certificates", false),
            ("certificates", "cert-manager.io/certificates", false),
            ("*.cert-manager.io", "cert-manager.io/certificates", true),
            ("*.cert-manager.io", "example.com/things", false),
            ("*.", "secrets", true),
            ("*.", "example.com/things", false),
            ("*.*", "secrets", true),
            ("*.*", "example.com/things", true),
            ("*", "example.com/things", true),
        ] {
            assert_eq!(covers(name, resource), covered, "{name} {resource}");
        }
    }
}
