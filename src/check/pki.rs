//! Is there a certificate authority, whole, in date, and the cluster's own?
//!
//! kubeadm without one makes a new one and exits 0: everybody is locked out.

use jiff::Timestamp;

use super::{Look, PkiContents, pki_set};
use crate::actions::Finding;
use crate::inventory::{Cluster, PkiFiles, Secret};
use crate::pki::{Certificate, Tie, examine};
use crate::snapshot::Claims;

/// The set, and what it is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The files.
    pub(crate) files: &'a PkiFiles,
    /// The contents of those that were found.
    pub(crate) contents: &'a PkiContents,
    /// What the snapshot says of its cluster.
    pub(crate) claims: Option<&'a Claims>,
    /// The cluster, when an inventory tells of it.
    pub(crate) cluster: Option<&'a Cluster>,
    /// The controller's clock.
    pub(crate) now: Timestamp,
}

pub(super) fn check(look: &Look) -> Vec<Finding> {
    judge(&Seen {
        files: &look.pki,
        contents: &look.pki_contents,
        claims: look.snapshot.as_ref().ok().map(|search| &search.chosen.claims),
        cluster: Some(&look.inventory.cluster),
        now: look.now,
    })
}

/// Everything that is wrong with the set, and what is right.
pub(crate) fn judge(seen: &Seen<'_>) -> Vec<Finding> {
    if let Some(reason) = seen.files.failed() {
        let help = "`[pki]` says where it is taken from, and by whom: who runs drctl must be able to reach and open it, and so\n\
                    must the user of `ssh.server` there (`become` makes it root)\n\
                    without it `kubeadm init` would make a new CA, and every node and user would be locked out";
        return vec![Finding::error("pki-unreachable", format!("the PKI could not be fetched from {reason}"), help)];
    }
    let mut findings: Vec<Finding> = seen.contents.iter().filter_map(|(name, read)| unreadable(name, read)).collect();
    findings.extend(seen.files.found().filter_map(too_open));
    match (content(seen, "ca.crt"), content(seen, "ca.key")) {
        (Some(certificate), Some(key)) => findings.extend(pair(seen, certificate, key)),
        (certificate, key) => {
            let absent = [("ca.crt", certificate.is_none()), ("ca.key", key.is_none())];
            let unread = |name: &str| seen.contents.iter().any(|(read, _)| read == name);
            let absent = absent.into_iter().filter(|(name, absent)| *absent && !unread(name));
            findings.extend(absent.map(|(name, _)| missing(seen, name)));
        }
    }
    findings.extend(pki_set::judge(seen));
    findings.extend(incomplete(seen));
    findings
}

pub(super) fn content<'a>(seen: &Seen<'a>, name: &str) -> Option<&'a Secret> {
    seen.contents.iter().find(|(known, _)| known == name).and_then(|(_, read)| read.as_ref().ok())
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

fn missing(seen: &Seen<'_>, name: &str) -> Finding {
    let key = name.replace('.', "_");
    let looked_for = match seen.files.get(name).and_then(|file| file.source.path()) {
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
fn incomplete(seen: &Seen<'_>) -> Vec<Finding> {
    let mut losses: Vec<(&str, Vec<String>)> = Vec::new();
    for (name, lost) in seen.files.missing() {
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

fn pair(seen: &Seen<'_>, certificate: &Secret, key: &Secret) -> Vec<Finding> {
    let examination = examine(certificate.expose(), key, seen.now);
    let mut findings: Vec<Finding> = examination
        .faults
        .iter()
        .map(|fault| {
            let make = if fault.forbids() { Finding::error } else { Finding::warning };
            let help = format!("{}\nif one went on, {}", fault.remedy(), fault.consequence());
            make("ca-unfit", format!("root CA: {fault}{}", files(seen)), help)
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
        findings.extend(belongs(seen, authority));
    }
    findings
}

/// Where certificate and key were taken from, each on a line of its own.
fn files(seen: &Seen<'_>) -> String {
    let paths = ["ca.crt", "ca.key"].map(|name| seen.files.get(name).and_then(|file| file.source.path()));
    paths.into_iter().flatten().map(|path| format!("\n  `{}`", path.display())).collect()
}

/// Another cluster's CA is a sound pair, and `kubeadm init` takes it without a word.
fn belongs(seen: &Seen<'_>, authority: &Certificate) -> Option<Finding> {
    let claims = seen.claims?;
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
                files(seen)
            ),
            "find the CA of this cluster, or the snapshot of that CA\n\
             `kubeadm init` would exit 0 with this one, and every node and user would be locked out",
        ),
    })
}
