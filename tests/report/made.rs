//! A drill and its journal, made of values: what a kubeadm control plane's looks like.

use std::collections::BTreeMap;
use std::time::Duration;

use drctl::actions::Finding;
use drctl::event::{Direction, Ending, Event, FORMAT, RunHeader, SnapshotRef, StepRef};
use drctl::journal::{Record, RunState};
use drctl::report::evidence::{Circumstances, Outcome, Past, Rehearsal};
use drctl::report::{Evidence, Report};
use drctl::snapshot::Claims;
use drctl::sources::{Chosen, TimeFrom};
use drctl::text::Values;
use jiff::{SignedDuration, Timestamp};

pub(crate) const BEGUN: &str = "2026-11-24T01:18:37.412Z";
pub(crate) const UID: &str = "0f9d2c7a-5b1e-4c38-9a77-3e2b6d1c8f40";
const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// Step, action, seconds; what is skipped has none.
pub(crate) const STEPS: &[(&str, &str, Option<f64>)] = &[
    ("fence", "fence", Some(3.1)),
    ("fetch-snapshot", "fetch_snapshot", Some(1.8)),
    ("ca-crt", "place_file", Some(0.2)),
    ("ca-key", "place_file", Some(0.2)),
    ("sa-pub", "place_file", Some(0.2)),
    ("sa-key", "place_file", Some(0.2)),
    ("front-proxy-ca-crt", "place_file", None),
    ("front-proxy-ca-key", "place_file", None),
    ("etcd-ca-crt", "place_file", None),
    ("etcd-ca-key", "place_file", None),
    ("encryption-config", "place_file", None),
    ("restore-etcd", "restore_etcd", Some(2.4)),
    ("kubeadm-init", "kubeadm_init", Some(21.7)),
    ("api-up", "wait_for", Some(0.1)),
    ("verify-etcd", "verify_etcd", Some(0.6)),
    ("masterleases", "masterleases", Some(4.3)),
    ("verify-cluster", "verify_cluster", Some(9.8)),
];

pub(crate) fn at(seconds: f64) -> Timestamp {
    let begun: Timestamp = BEGUN.parse().expect("a time");
    begun + SignedDuration::from_secs_f64(seconds)
}

fn text(text: &str) -> String {
    text.to_owned()
}

pub(crate) fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| (text(name), text(value))).collect()
}

pub(crate) fn header(run: &str) -> RunHeader {
    RunHeader {
        format: FORMAT,
        run: text(run),
        drctl: text("0.1.0"),
        cluster: text("prod"),
        host: text("10.0.0.10"),
        inventory: text("/etc/drctl/prod.toml"),
        playbook: text("embedded"),
        inventory_sha256: SHA.replace("9f", "1c"),
        playbook_sha256: SHA.replace("9f", "7b"),
        snapshot_json_sha256: None,
        accepted: Vec::new(),
        snapshot: SnapshotRef {
            name: text("etcd-snapshot-2026-11-24_01:15:01_UTC.db"),
            source: text("folder /srv/etcd-snapshots"),
            sha256: text(SHA),
            size: 48_322_592,
            taken: at(-216.0),
            revision: 1_284_377,
        },
        steps: STEPS
            .iter()
            .map(|(name, action, _)| StepRef { name: text(name), action: text(action), holds: None })
            .collect(),
    }
}

pub(crate) fn snapshot() -> Chosen {
    let header = header("");
    Chosen {
        name: header.snapshot.name,
        source: header.snapshot.source,
        path: "/srv/etcd-snapshots/x.db".into(),
        size: header.snapshot.size,
        sha256: header.snapshot.sha256,
        taken: header.snapshot.taken,
        time_from: TimeFrom::Name,
        claims: Claims {
            revision: 1_284_377,
            live_keys: 3_912,
            etcd_version: Some(text("3.5.6")),
            kubernetes_version: Some(text("v1.31.4")),
            kube_system_uid: Some(text(UID)),
            newest_change: Some(at(-217.4)),
            ..Claims::default()
        },
        packed: Vec::new(),
        copy: None,
        plain: None,
    }
}

fn outputs(action: &str) -> Values {
    match action {
        "fetch_snapshot" => values(&[("path", "/var/lib/drctl/x/passing/snapshot.db")]),
        "verify_etcd" => values(&[("revision", "1001284391"), ("keys", "3931"), ("kept", "3908")]),
        "masterleases" => {
            values(&[("live", "10.0.0.10"), ("expired", "10.0.0.11"), ("removed", "none"), ("left", "none")])
        }
        "verify_cluster" => values(&[
            ("kube_system_uid", UID),
            ("old_admin", "accepted"),
            ("leader", "cp-1_4be2f1c6"),
            ("canary", "reconciled"),
            ("endpoints", "10.0.0.10"),
            ("taints", "none"),
            ("nodes_back", "1 of 3"),
            ("nodes_missing", "worker-1, worker-2"),
        ]),
        _ => Values::new(),
    }
}

/// A journal that grows.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) records: Vec<Record>,
    pub(crate) clock: f64,
}

impl Journal {
    pub(crate) fn new(run: &str, begun: f64) -> Self {
        let mut journal = Self { records: Vec::new(), clock: begun };
        journal.note(Event::RunStarted(Box::new(header(run))));
        journal
    }

    pub(crate) fn note(&mut self, event: Event) {
        let seq = self.records.len() as u64 + 1;
        self.records.push(Record { seq, at: at(self.clock), data: event });
    }

    pub(crate) fn begin(&mut self, step: &str, attempt: u32) {
        self.note(Event::StepStarted { step: text(step), attempt });
        self.note(Event::StepKept { step: text(step) });
    }

    /// A step that takes as long as is usual.
    pub(crate) fn step(&mut self, (step, action, took): (&str, &str, Option<f64>), attempt: u32) {
        let Some(took) = took else {
            let reason = format!("`when = pki.{step}` does not hold");
            self.note(Event::StepSkipped { step: text(step), reason });
            return;
        };
        self.begin(step, attempt);
        self.clock += took;
        self.note(Event::StepDone { step: text(step), outputs: outputs(action) });
    }

    /// All steps from here on, to the end.
    pub(crate) fn on_from(&mut self, first: usize) {
        for step in &STEPS[first..] {
            self.step(*step, 1);
        }
        self.note(Event::Finished { ending: Ending::Restored });
    }

    pub(crate) fn report(&self) -> Report {
        let state = RunState::replay("journal".as_ref(), &self.records).expect("a legal journal");
        Report::of(&state, &self.records, Some(&snapshot()))
    }

    pub(crate) fn evidence(&self, circumstances: Circumstances) -> Evidence {
        let journal = Some(SHA.replace("9f", "e4"));
        Evidence::of_run(&self.report(), &self.records, journal, Some(&snapshot()), circumstances)
    }
}

/// Earlier drills, a week apart, with two that failed.
pub(crate) fn past(count: u32) -> Vec<Past> {
    (0..count)
        .map(|number| {
            let wave = f64::from(number * 7919 % 23) / 23.0;
            let outcome = match number % 11 {
                4 => Outcome::Failed,
                _ => Outcome::Passed,
            };
            let restored = number % 22 != 4;
            let weeks = f64::from(count - number);
            Past {
                at: at(-weeks * 7.0 * 86_400.0),
                outcome,
                rto_seconds: restored
                    .then_some((38.0 + 14.0 * wave).round() + if outcome == Outcome::Failed { 75.0 } else { 0.0 }),
                rpo_seconds: Some((120.0 + 200.0 * (1.0 - wave)).round()),
                id: format!("prod-{}-{number:04x}", at(-weeks * 7.0 * 86_400.0).strftime("%Y%m%dT%H%M%SZ")),
            }
        })
        .collect()
}

pub(crate) fn findings() -> Vec<Finding> {
    vec![
        Finding::ok(
            "snapshot-valid",
            "`etcd-snapshot-2026-11-24_01:15:01_UTC.db` is whole: digest, pages and records agree",
        ),
        Finding::ok("data-age", "the newest change in the data is 3m 37s old (2026-11-24T01:15:00Z)"),
        Finding::ok("ca-pair", "ca.key belongs to ca.crt, which is valid until 2034-03-01"),
        Finding::ok("ca-of-cluster", "ca.crt is the CA that the snapshot holds"),
        Finding::warning(
            "no-etcd-ca",
            "the old etcd CA is not among the files: kubeadm makes a new one",
            "clients of etcd outside of the cluster, backups among them, need new certificates",
        ),
        Finding::ok("target", "Debian GNU/Linux 12 (bookworm), kernel 6.1.0-28-amd64, as root"),
        Finding::ok("space", "2.1 GiB are free where 138 MiB are needed"),
    ]
}

/// What a drill knows besides its run.
pub(crate) fn circumstances(earlier: u32) -> Circumstances {
    let mean = |(name, _, took): &(&str, &str, Option<f64>)| {
        Some((
            text(name),
            SignedDuration::from_secs_f64(took.as_ref()? * if *name == "kubeadm-init" { 1.22 } else { 0.94 }),
        ))
    };
    Circumstances {
        drill: Some(Rehearsal {
            id: text("prod-20261124T011836Z-b4cb"),
            provider: text("namespace"),
            level: text("control-plane"),
            isolation: Some(text(
                "The target has a network namespace of its own without any route out; only the controller reaches it",
            )),
            fault: None,
        }),
        begun: Some(at(-1.3)),
        ended: Some(at(46.2)),
        rto_limit: Some(Duration::from_mins(2)),
        rpo_limit: Some(Duration::from_mins(10)),
        create: Some(Duration::from_millis(1240)),
        destroy: Some(Duration::from_millis(870)),
        against: Vec::new(),
        proofs: Vec::new(),
        findings: Some(findings()),
        facts: values(&[
            ("target.kubeadm_version", "1.31.4"),
            ("target.kubelet_version", "1.31.4"),
            ("target.etcdutl_version", "3.5.16"),
            ("target.os", "Debian GNU/Linux 12 (bookworm)"),
            ("target.kernel", "6.1.0-28-amd64"),
        ]),
        usual: if earlier == 0 { BTreeMap::new() } else { STEPS.iter().filter_map(mean).collect() },
        past: past(earlier),
    }
}

/// A drill that passed, after so many others.
pub(crate) fn passed(earlier: u32) -> Evidence {
    let mut journal = Journal::new("prod-20261124T011837Z-b4cb", 0.0);
    journal.on_from(0);
    journal.evidence(circumstances(earlier))
}

/// A game day: drctl is killed while kubeadm works, the run is taken up again, and the last proof fails.
pub(crate) fn failed(earlier: u32) -> Evidence {
    let mut journal = Journal::new("prod-20261124T011837Z-b4cb", 0.0);
    for step in &STEPS[..12] {
        journal.step(*step, 1);
    }
    journal.begin("kubeadm-init", 1);
    journal.clock += 14.0;
    journal.note(Event::Resumed { direction: Direction::Forward });
    journal.clock += 9.2;
    journal.note(Event::StepDone { step: text("kubeadm-init"), outputs: Values::new() });
    for step in &STEPS[13..16] {
        journal.step(*step, 1);
    }
    journal.begin("verify-cluster", 1);
    journal.clock += 6.1;
    let error = format!("the UID of namespace kube-system: expected {UID}, found 5a1d7c90-52d7-4d43-b6a5-0c1f3f7f1a11");
    journal.note(Event::StepFailed { step: text("verify-cluster"), error });
    journal.note(Event::Stopped { reason: text("step `verify-cluster` failed") });
    let mut circumstances = circumstances(earlier);
    circumstances.ended = Some(at(journal.clock + 0.9));
    if let Some(drill) = &mut circumstances.drill {
        drill.fault = Some(text("kill-controller: drctl was killed while kubeadm-init ran"));
    }
    journal.evidence(circumstances)
}

/// Text that means something to every form: of a target that is not to be believed.
pub(crate) const HOSTILE: &str =
    "<script src=\"https://evil.example/x.js\">alert('1')</script> & | **b** [l](http://evil.example)";

/// A restore in which every text that comes from outside is hostile.
pub(crate) fn hostile() -> Evidence {
    let mut journal = Journal::new("prod-20261124T011837Z-b4cb", 0.0);
    journal.begin("fence", 1);
    journal.clock += 1.0;
    journal.note(Event::StepFailed { step: text("fence"), error: text(HOSTILE) });
    journal.note(Event::Stopped { reason: text(HOSTILE) });
    let mut evidence = journal.evidence(Circumstances {
        findings: Some(vec![Finding::warning(HOSTILE, HOSTILE, HOSTILE)]),
        facts: values(&[("target.os", HOSTILE)]),
        ..Circumstances::default()
    });
    evidence.cluster = text(HOSTILE);
    evidence.host = text(HOSTILE);
    if let Some(snapshot) = &mut evidence.snapshot {
        snapshot.name = text(HOSTILE);
    }
    for step in &mut evidence.steps {
        step.name = text(HOSTILE);
    }
    evidence
}
