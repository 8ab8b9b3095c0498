//! Is there a certificate authority, whole, in date, and the cluster's own?
//!
//! kubeadm without one makes a new one and exits 0: everybody is locked out.

use super::Look;
use crate::actions::Finding;
use crate::inventory::Secret;
use crate::pki::{Certificate, Tie, examine};

pub(super) fn check(look: &Look) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        look.pki_contents.iter().filter_map(|(name, read)| unreadable(name, read)).collect();
    findings.extend(look.pki.found().filter_map(too_open));
    match (content(look, "ca.crt"), content(look, "ca.key")) {
        (Some(certificate), Some(key)) => findings.extend(pair(look, certificate, key)),
        (certificate, key) => {
            let absent = [("ca.crt", certificate.is_none()), ("ca.key", key.is_none())];
            let unread = |name: &str| look.pki_contents.iter().any(|(read, _)| read == name);
            let absent = absent.into_iter().filter(|(name, absent)| *absent && !unread(name));
            findings.extend(absent.map(|(name, _)| missing(look, name)));
        }
    }
    findings.extend(incomplete(look));
    findings
}

fn content<'a>(look: &'a Look, name: &str) -> Option<&'a Secret> {
    look.pki_contents.iter().find(|(known, _)| known == name).and_then(|(_, read)| read.as_ref().ok())
}

fn unreadable(name: &str, read: &Result<Secret, String>) -> Option<Finding> {
    let error = read.as_ref().err()?;
    Some(Finding::error(
        "pki-unreadable",
        format!("`{name}`: {error}"),
        "`[pki]` says where it is taken from: the user that runs drctl must be able to read it",
    ))
}

fn too_open(file: &crate::inventory::PkiFile) -> Option<Finding> {
    let mode = file.source.too_open().filter(|_| file.private)?;
    let path = file.source.path()?.display();
    Some(Finding::warning(
        "key-too-open",
        format!("the key `{path}` can be read by others (mode {mode:04o})"),
        format!("`chmod 600 {path}`: whoever has it can become anybody in the cluster"),
    ))
}

fn missing(look: &Look, name: &str) -> Finding {
    let key = name.replace('.', "_");
    let looked_for = match look.pki.get(name).and_then(|file| file.source.path()) {
        Some(path) => format!("no such file: `{}`", path.display()),
        None => format!("`[pki]` has neither `dir` nor `{key}`"),
    };
    Finding::error(
        "no-ca",
        format!("`{name}` of the cluster's root CA is not there: {looked_for}"),
        format!(
            "put it there, or say where it is with `{key}` in `[pki]`\n\
             without it `kubeadm init` would make a new CA, and every node and user would be locked out"
        ),
    )
}

/// Files that are lost for the same reason are told together.
fn incomplete(look: &Look) -> Vec<Finding> {
    let mut losses: Vec<(&str, Vec<String>)> = Vec::new();
    for (name, lost) in look.pki.missing() {
        match losses.iter_mut().find(|(known, _)| *known == lost) {
            Some((_, names)) => names.push(format!("`{name}`")),
            None => losses.push((lost, vec![format!("`{name}`")])),
        }
    }
    let told = losses.into_iter().map(|(lost, names)| {
        Finding::warning(
            "pki-incomplete",
            format!("`[pki]` has no {}: {lost}", names.join(", no ")),
            "look for it in other backups; save it with the next one",
        )
    });
    told.collect()
}

fn pair(look: &Look, certificate: &Secret, key: &Secret) -> Vec<Finding> {
    let examination = examine(certificate.expose(), key, look.now);
    let mut findings: Vec<Finding> = examination
        .faults
        .iter()
        .map(|fault| {
            let make = if fault.forbids() { Finding::error } else { Finding::warning };
            let help = format!("{}\nif one went on, {}", fault.remedy(), fault.consequence());
            make("ca-unfit", format!("root CA: {fault}{}", files(look)), help)
        })
        .collect();
    if let Some(authority) = &examination.authority {
        if examination.is_sound() {
            findings.push(Finding::ok(
                "ca",
                format!(
                    "ca.crt and ca.key belong together: {}, valid until {}, SHA256 {}",
                    authority.subject, authority.not_after, authority.sha256
                ),
            ));
        }
        findings.extend(belongs(look, authority));
    }
    findings
}

/// Where certificate and key were taken from, each on a line of its own.
fn files(look: &Look) -> String {
    let paths = ["ca.crt", "ca.key"].map(|name| look.pki.get(name).and_then(|file| file.source.path()));
    paths.into_iter().flatten().map(|path| format!("\n  `{}`", path.display())).collect()
}

/// Another cluster's CA is a sound pair, and `kubeadm init` takes it without a word.
fn belongs(look: &Look, authority: &Certificate) -> Option<Finding> {
    let claims = &look.snapshot.as_ref().ok()?.chosen.claims;
    let known = Certificate::readable_in(claims.authorities.as_bytes());
    let others = known.iter().filter(|known| known.public_key() != authority.public_key());
    let others: Vec<String> = others.map(|other| format!("{} (SHA256 {})", other.subject, other.sha256)).collect();
    Some(match authority.tie(&known) {
        Tie::Same | Tie::Renewed { .. } if !others.is_empty() => Finding::warning(
            "ca-one-of-several",
            format!("the snapshot holds the same CA, and others besides\n  {}", others.join("\n  ")),
            "a CA that was being changed, or one for clients alone: who trusts only the others will not accept the API server; \
             where nodes need both, `ca.crt` must hold both certificates",
        ),
        Tie::Same => Finding::ok("ca-of-snapshot", "the snapshot holds the same CA"),
        Tie::Renewed { known } => Finding::warning(
            "ca-renewed",
            format!("the snapshot holds another certificate of the same CA key (SHA256 {})", known.sha256),
            "both are accepted by who trusts either; see that the newer one is placed",
        ),
        Tie::Unknown => Finding::warning(
            "ca-unproven",
            "the snapshot holds no CA, so that this one is the cluster's cannot be proved",
            "see that `[pki]` and `[[snapshots]]` are of the same cluster",
        ),
        Tie::Foreign { known } => Finding::error(
            "ca-foreign",
            format!(
                "the CA is not the snapshot's\n  expected: SHA256 {}\n  found:    SHA256 {}{}",
                known.iter().map(|known| known.sha256.to_string()).collect::<Vec<_>>().join(" or "),
                authority.sha256,
                files(look)
            ),
            "find the CA of this cluster, or the snapshot of that CA\n\
             `kubeadm init` would exit 0 with this one, and every node and user would be locked out",
        ),
    })
}
