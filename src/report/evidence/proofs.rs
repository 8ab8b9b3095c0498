//! Which steps were proofs, and what their outputs mean, in words.
//!
//! [`WORDS`] knows the outputs of the proofs there are. Others are told by their names: of an output `x`, what it should
//! have been is the output `x_expected`, when there is one.

use super::Proof;
use crate::actions::NOT_TRIED;
use crate::event::Ending;
use crate::report::{Report, StepReport};
use crate::snapshot::Claims;
use crate::text::Values;

/// The words for an output.
struct Words {
    action: &'static str,
    /// The output; of an empty one, that the step took is all there is.
    output: &'static str,
    name: &'static str,
    how: &'static str,
    should_be: ShouldBe,
}

/// How it is known what an output should be.
enum ShouldBe {
    /// It is only told: whatever it is fails nothing.
    Told,
    /// The step fails when it is not so.
    Always(&'static str),
    /// The step fails when it is not what the snapshot says, or else what the step itself compared it with. Without either
    /// nothing was compared.
    Claimed(fn(&Claims) -> Option<String>),
}

/// Words for what the proofs put out, in the order in which it is told.
const WORDS: &[Words] = &[
    Words {
        action: "verify_etcd",
        output: "",
        name: "Writes are kept",
        how: "A key was written to etcd, read back and deleted",
        should_be: ShouldBe::Always("what was written"),
    },
    Words {
        action: "verify_etcd",
        output: "revision",
        name: "Revision",
        how: "etcd's revision was compared with the snapshot's",
        should_be: ShouldBe::Claimed(|claims| Some(format!("at least {}", claims.revision))),
    },
    Words {
        action: "verify_etcd",
        output: "kept",
        name: "Keys of the snapshot",
        how: "All keys were listed; those made up to the snapshot's revision were counted. Events and leases expire",
        should_be: ShouldBe::Claimed(|claims| Some(format!("nearly all of {}", claims.live_keys))),
    },
    Words {
        action: "verify_etcd",
        output: "keys",
        name: "Keys now",
        how: "All keys were counted, those made since the restore among them",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "masterleases",
        output: "live",
        name: "API servers that live",
        how: "Their addresses in etcd were seen to be renewed",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "masterleases",
        output: "expired",
        name: "API servers that are gone",
        how: "Their leases in the snapshot ran out",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "masterleases",
        output: "removed",
        name: "API servers that were removed",
        how: "Their entries had no lease and nobody renewed them",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "masterleases",
        output: "left",
        name: "API servers that are left",
        how: "Entries that nobody was seen to renew, and that do no harm",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "verify_cluster",
        output: "",
        name: "Certificate of the API server",
        how: "The TLS connection was verified with the inventory's CA alone; /readyz said yes",
        should_be: ShouldBe::Always("signed by the cluster's CA"),
    },
    Words {
        action: "verify_cluster",
        output: "kube_system_uid",
        name: "Identity of the cluster",
        how: "The UID of the namespace kube-system, which must be the snapshot's, or else the inventory's",
        should_be: ShouldBe::Claimed(|claims| claims.kube_system_uid.clone()),
    },
    Words {
        action: "verify_cluster",
        output: "old_admin",
        name: "Credential from before",
        how: "The API server was asked with the administrator's kubeconfig of before the disaster",
        should_be: ShouldBe::Always("accepted"),
    },
    Words {
        action: "verify_cluster",
        output: "leader",
        name: "Controllers",
        how: "A controller-manager was seen to renew its lease",
        should_be: ShouldBe::Always("one that leads"),
    },
    Words {
        action: "verify_cluster",
        output: "canary",
        name: "Reconciliation",
        how: "A namespace was made, seen to be reconciled by the controllers, and deleted",
        should_be: ShouldBe::Always("reconciled"),
    },
    Words {
        action: "verify_cluster",
        output: "endpoints",
        name: "Addresses of API servers",
        how: "Those behind the Service kubernetes were compared with those of before",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "verify_cluster",
        output: "taints",
        name: "Taints of the control plane",
        how: "They were compared with those of the snapshot",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "verify_cluster",
        output: "nodes_back",
        name: "Nodes that are back",
        how: "Nodes of the snapshot that were seen ready",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "verify_cluster",
        output: "nodes_missing",
        name: "Nodes that are not back",
        how: "Nodes of the snapshot that were not seen ready",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "verify_objects",
        output: "",
        name: "Objects of the snapshot",
        how: "Every resource was listed, and each object was found again by its UID",
        should_be: ShouldBe::Always("all that are served and do not come and go"),
    },
    Words {
        action: "verify_objects",
        output: "objects",
        name: "Objects that were found",
        how: "They were found again by their UIDs",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "verify_objects",
        output: "resources",
        name: "Resources of the snapshot",
        how: "Kinds of objects that it holds",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "verify_objects",
        output: "passing",
        name: "Objects that come and go",
        how: "Events, leases, endpoints, pods and the like that are no more",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "verify_objects",
        output: "unserved",
        name: "Objects that no API serves",
        how: "No version of their group has their resource, so they cannot be seen",
        should_be: ShouldBe::Told,
    },
    Words {
        action: "verify_objects",
        output: "without_uid",
        name: "Keys without a UID",
        how: "They are no objects, or encrypted",
        should_be: ShouldBe::Told,
    },
];

const EXPECTED: &str = "_expected";

/// Whether a step's outputs are what was found, and not paths for other steps.
pub(in crate::report) fn is_proof(action: &str) -> bool {
    action.starts_with("verify_") || action.starts_with("prove_") || WORDS.iter().any(|words| words.action == action)
}

/// What the proofs of a run have shown. One that was not made is told too: it is missing.
pub(super) fn of(report: &Report, claims: Option<&Claims>) -> Vec<Proof> {
    report.steps.iter().filter(|step| is_proof(&step.action)).flat_map(|step| of_step(step, report, claims)).collect()
}

fn of_step(step: &StepReport, report: &Report, claims: Option<&Claims>) -> Vec<Proof> {
    let whole = |found: &str, passed: Option<bool>| Proof {
        step: Some(step.name.clone()),
        name: sentence(&step.name),
        how: format!("Action {}", step.action),
        expected: None,
        found: found.to_owned(),
        passed,
    };
    match step.state {
        "done" => known(step, claims).chain(unknown(step)).collect(),
        "failed" => vec![failed(step, whole("", Some(false)))],
        "skipped" => vec![whole(&format!("not made: {}", step.detail.as_deref().unwrap_or("skipped")), None)],
        _ if report.ending == Some(Ending::RolledBack) => Vec::new(),
        _ => vec![whole("not made", None)],
    }
}

/// The outputs that have words.
fn known<'a>(step: &'a StepReport, claims: Option<&'a Claims>) -> impl Iterator<Item = Proof> + 'a {
    WORDS.iter().filter(|words| words.action == step.action).filter_map(move |words| {
        let (expected, passed) = match words.should_be {
            ShouldBe::Told => (None, None),
            ShouldBe::Always(expected) => (Some(expected.to_owned()), Some(true)),
            ShouldBe::Claimed(claimed) => {
                let expected = claims.and_then(claimed).or_else(|| expected_of(step, words.output).cloned());
                let compared = expected.is_some().then_some(true);
                (expected, compared)
            }
        };
        let found = match (words.output, step.outputs.get(words.output)) {
            ("", _) => expected.clone().unwrap_or_default(),
            (_, found) => found?.clone(),
        };
        let tried = found != NOT_TRIED;
        Some(Proof {
            step: Some(step.name.clone()),
            name: words.name.to_owned(),
            how: words.how.to_owned(),
            passed: passed.filter(|_| tried),
            expected,
            found,
        })
    })
}

/// What the step compared an output with.
fn expected_of<'a>(step: &'a StepReport, output: &str) -> Option<&'a String> {
    step.outputs.get(&format!("{output}{EXPECTED}"))
}

/// The outputs that have none.
fn unknown(step: &StepReport) -> impl Iterator<Item = Proof> {
    let worded = |name: &str| WORDS.iter().any(|words| words.action == step.action && words.output == name);
    let is_expectation = |outputs: &Values, name: &str| {
        name.strip_suffix(EXPECTED).is_some_and(|compared| outputs.contains_key(compared))
    };
    step.outputs.iter().filter(move |(name, _)| !worded(name) && !is_expectation(&step.outputs, name)).map(
        |(name, found)| Proof {
            step: Some(step.name.clone()),
            name: sentence(name),
            how: format!("Action {}, output {name}", step.action),
            expected: expected_of(step, name).cloned(),
            found: found.clone(),
            passed: Some(found != NOT_TRIED).filter(|tried| *tried),
        },
    )
}

/// A comparison that failed says so in this form: [`crate::actions::ActionError::Unexpected`].
fn failed(step: &StepReport, whole: Proof) -> Proof {
    let said = step.detail.as_deref().unwrap_or_default().to_owned();
    let compared = said.split_once(": expected ").and_then(|(name, rest)| {
        let (expected, found) = rest.rsplit_once(", found ")?;
        Some((name.to_owned(), expected.to_owned(), found.to_owned()))
    });
    match compared {
        Some((name, expected, found)) => Proof { name: sentence(&name), expected: Some(expected), found, ..whole },
        None => Proof { found: said, ..whole },
    }
}

/// A name as the beginning of a sentence.
fn sentence(name: &str) -> String {
    let mut letters = name.replace('_', " ");
    if let Some(first) = letters.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a step of `verify_cluster` with these outputs has shown, by the proofs' names.
    fn shown(outputs: &[(&str, &str)], claims: &Claims, name: &str) -> (Option<String>, Option<bool>) {
        let step = StepReport {
            name: "verify-cluster".to_owned(),
            action: "verify_cluster".to_owned(),
            state: "done",
            detail: None,
            outputs: outputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            attempts: 1,
            begun_after: None,
            seconds: None,
        };
        let proofs: Vec<Proof> = known(&step, Some(claims)).chain(unknown(&step)).collect();
        let proof = proofs.iter().find(|proof| proof.name == name).unwrap();
        (proof.expected.clone(), proof.passed)
    }

    #[test]
    fn what_was_compared_with_nothing_holds_nothing() {
        let of = |outputs: &[(&str, &str)], uid: Option<&str>| {
            let claims = Claims { kube_system_uid: uid.map(str::to_owned), ..Claims::default() };
            shown(outputs, &claims, "Identity of the cluster")
        };
        let (found, pinned) = (("kube_system_uid", "u-1"), ("kube_system_uid_expected", "u-1"));
        assert_eq!(of(&[found], Some("u-1")), (Some("u-1".to_owned()), Some(true)));
        assert_eq!(of(&[found, pinned], None), (Some("u-1".to_owned()), Some(true)), "the inventory pins it");
        assert_eq!(of(&[found], None), (None, None));
    }

    #[test]
    fn what_was_not_tried_holds_nothing() {
        for (output, name) in
            [("leader", "Controllers"), ("canary", "Reconciliation"), ("old_admin", "Credential from before")]
        {
            let shown = |found: &str| shown(&[(output, found)], &Claims::default(), name).1;
            assert_eq!((shown("not tried"), shown("reconciled")), (None, Some(true)), "{name}");
        }
    }
}
