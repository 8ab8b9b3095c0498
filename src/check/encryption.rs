//! Can the API server read what is encrypted at rest? Without its `EncryptionConfiguration` that is lost.

use std::collections::BTreeMap;

use super::Look;
use crate::actions::{Finding, api_server_argument};
use crate::snapshot::Claims;

/// The argument that names the file; before Kubernetes 1.13 it was experimental.
const ARGUMENTS: [&str; 2] = ["encryption-provider-config", "experimental-encryption-provider-config"];

pub(super) fn check(look: &Look) -> Vec<Finding> {
    let Some(claims) = look.claims() else { return Vec::new() };
    if claims.encrypted.is_empty() || !look.steps_to_run().any(|step| step.kind.name == "kubeadm_init") {
        return Vec::new();
    }
    vec![judge(claims, look.encryption_config.as_ref(), &touched(look))]
}

/// The file that the API server will be told to decrypt with.
pub(super) fn file(look_for: &crate::inventory::Inventory, claims: &Claims) -> Option<String> {
    ARGUMENTS.iter().find_map(|name| api_server_argument(look_for, claims, name))
}

/// The paths that the playbook's steps write, but for the one that only keeps whole folders.
fn touched(look: &Look) -> Vec<String> {
    let cx = look.plan_context();
    let steps = look.steps_to_run().filter(|step| step.kind.name != "kubeadm_init");
    steps.flat_map(|step| step.action.describe(&cx).touches).collect()
}

/// `file`: the path, and whether it is on the target already.
fn judge(claims: &Claims, file: Option<&(String, Option<bool>)>, touched: &[String]) -> Finding {
    let encrypted = format!("the snapshot holds what is encrypted at rest: {}", in_words(claims));
    let lost = "if one went on, all of that could not be read: API requests for it fail, and controllers with them";
    match file {
        None => Finding::error(
            "encryption-unconfigured",
            format!("{encrypted}\n  but kubeadm's configuration gives the API server no `{}`", ARGUMENTS[0]),
            format!(
                "name a `kubeadm_config` in `[cluster]` that has it in `apiServer.extraArgs`, with the volume that holds the file, \
                 and place the file by a step of the playbook\n{lost}"
            ),
        ),
        Some((path, _)) if touched.iter().any(|placed| placed == path) => {
            Finding::ok("encryption", format!("{encrypted}\n  a step of the playbook places {path}"))
        }
        Some((path, Some(true))) => Finding::ok("encryption", format!("{encrypted}\n  the target has {path}")),
        Some((path, Some(false))) => Finding::error(
            "encryption-config-missing",
            format!(
                "{encrypted}\n  the API server needs {path}, which the target has not, and no step of the playbook places it"
            ),
            format!(
                "bring the old control plane's {path} with its keys, by a `place_file` step before `kubeadm_init`\n\
                 if one went on, the API server would not start; without the file's keys that data is lost for ever"
            ),
        ),
        Some((path, None)) => Finding::warning(
            "encryption-unproven",
            format!("{encrypted}\n  the API server needs {path}; whether the target has it is not known"),
            "see that the file and its keys are there",
        ),
    }
}

/// `secrets by aescbc with key1 (12 objects)`.
fn in_words(claims: &Claims) -> String {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for part in &claims.encrypted {
        let cipher = &part.cipher;
        *counts
            .entry(format!("{} by {} with the key `{}`", part.resource, cipher.provider, cipher.key))
            .or_default() += part.objects;
    }
    let words: Vec<String> = counts.into_iter().map(|(what, objects)| format!("{what} ({objects} objects)")).collect();
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::kubernetes::Cipher;
    use crate::snapshot::origin::Encrypted;

    fn of(file: Option<(&str, Option<bool>)>, touched: &[&str]) -> Finding {
        let cipher = Cipher { provider: "aescbc".to_owned(), key: "key1".to_owned() };
        let encrypted = vec![Encrypted { resource: "secrets".to_owned(), cipher, objects: 12 }];
        let file = file.map(|(path, there)| (path.to_owned(), there));
        let touched: Vec<String> = touched.iter().map(|path| (*path).to_owned()).collect();
        judge(&Claims { encrypted, ..Claims::default() }, file.as_ref(), &touched)
    }

    #[test]
    fn without_its_configuration_what_is_encrypted_is_lost() {
        let finding = of(None, &[]);
        assert_eq!(finding.name, "encryption-unconfigured");
        assert!(finding.message.contains("secrets by aescbc with the key `key1` (12 objects)"), "{}", finding.message);
        assert_eq!(of(Some(("/etc/e.yaml", Some(false))), &["/etc"]).name, "encryption-config-missing");
        assert_eq!(of(Some(("/etc/e.yaml", None)), &[]).name, "encryption-unproven");
    }

    #[test]
    fn the_file_is_placed_or_there() {
        assert_eq!(of(Some(("/etc/e.yaml", Some(false))), &["/etc/e.yaml"]).name, "encryption");
        assert_eq!(of(Some(("/etc/e.yaml", Some(true))), &[]).name, "encryption");
    }
}
