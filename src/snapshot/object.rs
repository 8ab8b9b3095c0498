//! Which object a key stands for.

use schemars::JsonSchema;
use serde::Serialize;

/// Where the API server keeps its objects, unless `--etcd-prefix` says otherwise.
pub const PREFIX: &str = "/registry/";
/// Group, resource, namespace and name with their separators are shorter.
pub const LONGEST_KEY: usize = 1024;

/// An object by its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Object {
    /// Such as `pods`; empty for a key that is not below `/registry/`.
    pub resource: String,
    /// `None` for objects without one.
    pub namespace: Option<String>,
    /// Its name; of a key that is not below `/registry/`, the key.
    pub name: String,
}

impl Object {
    /// What is beyond the longest key of an object is cut off.
    pub fn of_key(key: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&key[..key.len().min(LONGEST_KEY)]);
        let Some(path) = text.strip_prefix(PREFIX) else {
            return Self { resource: String::new(), namespace: None, name: text.into_owned() };
        };
        let (resource, words) = split(path);
        let rest = path.split('/').skip(words).collect::<Vec<_>>().join("/");
        match rest.split_once('/') {
            Some((namespace, name)) => Self { resource, namespace: Some(namespace.to_owned()), name: name.to_owned() },
            None => Self { resource, namespace: None, name: rest },
        }
    }
}

/// Which resource a key (without the prefix) belongs to: `pods`, `deployments`, `cilium.io/ciliumnodes`.
pub fn resource(path: &str) -> String {
    split(path).0
}

/// The resource, and how many words of the path say it.
fn split(path: &str) -> (String, usize) {
    let mut parts = path.split('/');
    let first = parts.next().unwrap_or_default();
    let second = parts.next().unwrap_or_default();
    match (first, second) {
        ("services", "specs") => ("services".to_owned(), 2),
        ("services", "endpoints") => ("endpoints".to_owned(), 2),
        ("minions", _) => ("nodes".to_owned(), 1),
        ("controllers", _) => ("replicationcontrollers".to_owned(), 1),
        (group, kind) if group.contains('.') && parts.next().is_some() => (format!("{group}/{kind}"), 2),
        (resource, _) => (resource.to_owned(), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_by_key() {
        for (key, resource, namespace, name) in [
            ("/registry/pods/default/web-1", "pods", Some("default"), "web-1"),
            ("/registry/deployments/default/web", "deployments", Some("default"), "web"),
            ("/registry/services/specs/default/kubernetes", "services", Some("default"), "kubernetes"),
            ("/registry/services/endpoints/default/kubernetes", "endpoints", Some("default"), "kubernetes"),
            ("/registry/minions/node1", "nodes", None, "node1"),
            ("/registry/controllers/default/web", "replicationcontrollers", Some("default"), "web"),
            ("/registry/cilium.io/ciliumnodes/node1", "cilium.io/ciliumnodes", None, "node1"),
            ("/registry/example.com/things/a/b", "example.com/things", Some("a"), "b"),
            ("/registry/apiregistration.k8s.io/apiservices/v1.", "apiregistration.k8s.io/apiservices", None, "v1."),
            ("/registry/health", "health", None, ""),
            ("/registry/", "", None, ""),
            ("compact_rev_key", "", None, "compact_rev_key"),
        ] {
            let object = Object::of_key(key.as_bytes());
            let found = (object.resource.as_str(), object.namespace.as_deref(), object.name.as_str());
            assert_eq!(found, (resource, namespace, name), "{key}");
        }
    }

    #[test]
    fn a_key_of_any_bytes_has_a_name() {
        assert_eq!(Object::of_key(b"\xff/a").name, "\u{fffd}/a");
        assert_eq!(Object::of_key(&[b'a'; 5000]).name.len(), LONGEST_KEY);
    }
}
