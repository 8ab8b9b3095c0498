//! The rest of the set: do its pairs belong together, are they the snapshot's, and does it open what is encrypted?

use super::pki::{Seen, content};
use crate::actions::Finding;
use crate::inventory::{ENCRYPTION_CONFIG, Secret};
use crate::pki::{Certificate, PublicKey, Tie, examine, service_account};
use crate::pki_set::encryption;
use crate::snapshot::Encrypted;

/// Authorities besides the root CA: kubeadm takes each when it is there.
const PAIRS: [(&str, &str, &str); 2] =
    [("front proxy CA", "front-proxy-ca.crt", "front-proxy-ca.key"), ("etcd CA", "etcd/ca.crt", "etcd/ca.key")];

pub(super) fn judge(seen: &Seen<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = PAIRS.iter().flat_map(|pair| authority(seen, *pair)).collect();
    findings.extend(front_proxy_of_snapshot(seen));
    findings.extend(service_accounts(seen));
    findings.extend(encryption_config(seen));
    findings
}

fn authority(seen: &Seen<'_>, (what, certificate, key): (&str, &str, &str)) -> Vec<Finding> {
    let (Some(crt), Some(secret)) = (content(seen, certificate), content(seen, key)) else {
        return half(seen, what, certificate, key).into_iter().collect();
    };
    let examination = examine(crt.expose(), secret, seen.now);
    let unfit = |fault: &crate::pki::Fault| {
        let make = if fault.forbids() { Finding::error } else { Finding::warning };
        let help = format!("{}\nor leave both files out, and `kubeadm init` makes a new {what}", fault.remedy());
        make("pki-unfit", format!("{what}: {fault}"), help)
    };
    let mut findings: Vec<Finding> = examination.faults.iter().map(unfit).collect();
    if let Some(authority) = examination.authority.as_ref().filter(|_| examination.is_sound()) {
        let said = format!(
            "{certificate} and {key} belong together: {}, valid until {}",
            authority.subject, authority.not_after
        );
        findings.push(Finding::ok("pki-pair", said));
    }
    findings
}

/// kubeadm takes a certificate without its key for an authority kept elsewhere, and stops half way.
fn half(seen: &Seen<'_>, what: &str, certificate: &str, key: &str) -> Option<Finding> {
    let there = |name: &str| content(seen, name).is_some();
    let (is, lacks) = match (there(certificate), there(key)) {
        (true, false) => (certificate, key),
        (false, true) => (key, certificate),
        _ => return None,
    };
    Some(Finding::error(
        "pki-unfit",
        format!("{what}: `{is}` is there, and `{lacks}` is not: `kubeadm init` would stop half way"),
        format!("look for `{lacks}` in other backups, or leave out `{is}` too: then a new {what} is made"),
    ))
}

/// A front proxy CA of another cluster is taken without a word; the snapshot knows the right one.
fn front_proxy_of_snapshot(seen: &Seen<'_>) -> Option<Finding> {
    let own = Certificate::all_in(content(seen, "front-proxy-ca.crt")?.expose()).ok()?.into_iter().next()?;
    let known = Certificate::all_in(seen.claims?.front_proxy_authorities.as_bytes()).unwrap_or_default();
    Some(match own.tie(&known) {
        Tie::Same | Tie::Renewed { .. } => {
            Finding::ok("front-proxy-of-snapshot", "the snapshot holds the same front proxy CA")
        }
        Tie::Unknown => return None,
        Tie::Foreign { known } => Finding::warning(
            "front-proxy-foreign",
            format!(
                "the front proxy CA is not the snapshot's\n  expected: SHA256 {}\n  found:    SHA256 {}",
                known.iter().map(|known| known.sha256.to_string()).collect::<Vec<_>>().join(" or "),
                own.sha256
            ),
            "find the front proxy CA of this cluster, or leave it out: aggregated APIs may need a restart in either case",
        ),
    })
}

fn service_accounts(seen: &Seen<'_>) -> Option<Finding> {
    let (public, private) = (content(seen, "sa.pub"), content(seen, "sa.key"));
    let (Some(public), Some(private)) = (public, private) else {
        return half(seen, "service-account keys", "sa.pub", "sa.key");
    };
    let unfit = |reason: String| {
        let help =
            "look for the pair in other backups, or leave both out: then every service-account token is made anew";
        Some(Finding::error("pki-unfit", format!("service-account keys: {reason}"), help))
    };
    let keys = match PublicKey::all_in(public.expose()) {
        Ok(keys) => keys,
        Err(error) => return unfit(format!("sa.pub: {error}")),
    };
    match service_account::is_pair(&keys, private) {
        Ok(true) => Some(Finding::ok("pki-pair", "sa.pub and sa.key belong together")),
        Ok(false) => unfit("sa.key is not the key that sa.pub is of: every token would be refused (401)".to_owned()),
        Err(error) => unfit(format!("sa.key: {error}")),
    }
}

/// Whether what is encrypted in the snapshot can be read again.
fn encryption_config(seen: &Seen<'_>) -> Vec<Finding> {
    let Some(claims) = seen.claims else { return Vec::new() };
    let told = seen.cluster.and_then(|cluster| encryption::told_path(cluster, claims));
    let Some(config) = content(seen, ENCRYPTION_CONFIG) else {
        return missing(&claims.encrypted, told.as_deref()).into_iter().collect();
    };
    if claims.encrypted.is_empty() && told.is_none() {
        let said = format!(
            "the snapshot holds nothing encrypted, and nothing tells of `{ENCRYPTION_CONFIG}`: it is not placed"
        );
        return vec![Finding::ok("encryption-config", said)];
    }
    let mut findings = vec![fit(config, &claims.encrypted)];
    if told.is_none() && seen.cluster.is_some() {
        findings.push(untold(&claims.encrypted));
    }
    findings
}

/// An API server that is not told of the keys starts, takes what it cannot read for damage, and never gets ready.
fn untold(encrypted: &[Encrypted]) -> Finding {
    Finding::error(
        "encryption-config-untold",
        format!(
            "the API server would not be told of the `EncryptionConfiguration`, placed at `{}`: it could not read {}, and \
             would never get ready",
            encryption::DEFAULT_PATH,
            in_words(encrypted)
        ),
        "set `encryption-provider-config` in `apiServer.extraArgs` of the configuration that kubeadm is given (`kubeadm_config`)\n\
         accept this only when something else tells the API server, such as a patch of its manifest",
    )
}

fn missing(encrypted: &[Encrypted], told: Option<&str>) -> Option<Finding> {
    let lost = match (encrypted.is_empty(), told) {
        (true, None) => return None,
        (true, Some(path)) => format!("the API server is told to read `{path}`, and will not start without it"),
        (false, _) => format!("the snapshot holds {}: without the keys they are lost for ever", in_words(encrypted)),
    };
    Some(Finding::error(
        "encryption-config-missing",
        format!("`[pki]` has no `{ENCRYPTION_CONFIG}`: {lost}"),
        "look for the API server's `EncryptionConfiguration` in other backups, and name it as `encryption_config` in `[pki]`",
    ))
}

fn fit(config: &Secret, encrypted: &[Encrypted]) -> Finding {
    let unfit = |reason: String| {
        let help = "find the `EncryptionConfiguration` of this cluster: what its keys do not open is lost for ever";
        Finding::error("encryption-config-unfit", format!("`{ENCRYPTION_CONFIG}`: {reason}"), help)
    };
    match encryption::unopened(config.expose(), encrypted) {
        Err(reason) => unfit(reason),
        Ok(unopened) if unopened.is_empty() => {
            Finding::ok("encryption-config", format!("`{ENCRYPTION_CONFIG}` has the keys that the snapshot names"))
        }
        Ok(unopened) => {
            let unopened: Vec<Encrypted> = unopened.into_iter().cloned().collect();
            unfit(format!("it lacks the keys of {}", in_words(&unopened)))
        }
    }
}

fn in_words(encrypted: &[Encrypted]) -> String {
    let one = |object: &Encrypted| {
        let Encrypted { resource, cipher, objects } = object;
        format!("{objects} {resource} encrypted by {} with the key `{}`", cipher.provider, cipher.key)
    };
    encrypted.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Cluster, Fetched, Pki, PkiFiles, parse};
    use crate::snapshot::{Cipher, Claims};

    const CONFIG: &str = "kind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n  - aescbc: {keys: [{name: key1, secret: eA==}]}\n";
    const TOLD: &str = "apiServer:\n  extraArgs:\n    encryption-provider-config: /etc/kubernetes/enc.yaml\n";

    fn cluster() -> Cluster {
        let text = "[cluster]\nname = 'x'\nendpoint = 'x:6443'\n[target]\nhost = 'x'\n[[snapshots]]\nfolder.path = '/x'\n[pki]\ndir = '/x'\n";
        parse("test", text, std::path::Path::new("/")).unwrap().cluster
    }

    /// What is found with this configuration file, of a snapshot with such a key and such a kubeadm configuration; and
    /// where playbooks would place the file.
    fn found(config: Option<&str>, key: Option<&str>, kubeadm: &str) -> (Vec<String>, Option<String>) {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        let files = config.iter().map(|text| (ENCRYPTION_CONFIG, secret(text))).collect();
        let fetched = Fetched { from: "there".to_owned(), files: Ok(files) };
        let files = PkiFiles::find(&Pki::default(), Some(&fetched));
        let contents = config.iter().map(|text| (ENCRYPTION_CONFIG.to_owned(), Ok(secret(text)))).collect();
        let encrypted = key.map(|key| Encrypted {
            resource: "secrets".to_owned(),
            cipher: Cipher { provider: "aescbc".to_owned(), key: key.to_owned() },
            objects: 3,
        });
        let claims = Claims {
            configuration: Some(kubeadm.to_owned()),
            encrypted: encrypted.into_iter().collect(),
            ..Claims::default()
        };
        let cluster = cluster();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let seen = Seen { files: &files, contents: &contents, claims: Some(&claims), cluster: Some(&cluster), now };
        let names = encryption_config(&seen).into_iter().map(|finding| finding.name).collect();
        (names, encryption::value(&files, &cluster, &claims).map(|(_, path)| path))
    }

    #[test]
    fn what_opens_encrypted_objects_is_asked_for_when_there_are_any() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (path, default) = (Some("/etc/kubernetes/enc.yaml".to_owned()), Some(encryption::DEFAULT_PATH.to_owned()));
        assert_eq!(found(None, None, ""), (vec![], None));
        assert_eq!(found(Some(CONFIG), None, ""), (names(&["encryption-config"]), None));
        assert_eq!(found(Some(CONFIG), Some("key1"), TOLD), (names(&["encryption-config"]), path.clone()));
        assert_eq!(found(Some(CONFIG), None, TOLD), (names(&["encryption-config"]), path.clone()));
        assert_eq!(
            found(Some(CONFIG), Some("key1"), ""),
            (names(&["encryption-config", "encryption-config-untold"]), default)
        );
        assert_eq!(found(Some(CONFIG), Some("key2"), TOLD), (names(&["encryption-config-unfit"]), path.clone()));
        assert_eq!(found(Some("kind: Pod\n"), Some("key1"), TOLD), (names(&["encryption-config-unfit"]), path));
        assert_eq!(found(None, Some("key1"), TOLD), (names(&["encryption-config-missing"]), None));
        assert_eq!(found(None, Some("key1"), ""), (names(&["encryption-config-missing"]), None));
        assert_eq!(found(None, None, TOLD), (names(&["encryption-config-missing"]), None));
    }
}
