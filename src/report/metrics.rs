//! What Prometheus is to know, for the textfile collector of `node_exporter`.

use super::evidence::{Evidence, Outcome};

/// A family of metrics: its name, what it is, and its samples of one report, each with labels of its own.
struct Family {
    name: &'static str,
    help: &'static str,
    samples: fn(&Evidence) -> Vec<Sample>,
}

/// A value and the label that it has besides those of all.
struct Sample {
    label: Option<(&'static str, String)>,
    value: f64,
}

impl Sample {
    fn plain(value: f64) -> Self {
        Self { label: None, value }
    }
}

/// All families, in the order of `docs/reports.md`. A figure that is not known has no sample.
const FAMILIES: &[Family] = &[
    Family {
        name: "drctl_last_success_timestamp_seconds",
        help: "When the last drill or restore that passed ended.",
        samples: |evidence| one(evidence.last_success.map(|at| at.as_duration().as_secs_f64())),
    },
    Family {
        name: "drctl_last_run_timestamp_seconds",
        help: "When the last drill or restore ended.",
        samples: |evidence| one(Some(evidence.ended.as_duration().as_secs_f64())),
    },
    Family {
        name: "drctl_verdict",
        help: "The verdict of the last drill or restore: 1 for the one that it has.",
        samples: |evidence| {
            let outcomes = [Outcome::Passed, Outcome::Failed, Outcome::Unfinished];
            let sample = |outcome: Outcome| Sample {
                label: Some(("verdict", outcome.word().to_owned())),
                value: f64::from(u8::from(outcome == evidence.verdict.outcome)),
            };
            outcomes.map(sample).into()
        },
    },
    Family {
        name: "drctl_rto_seconds",
        help: "From the first record of the last run to the proven control plane.",
        samples: |evidence| one(evidence.figures.rto_seconds),
    },
    Family {
        name: "drctl_rto_limit_seconds",
        help: "How long it may take from the first record to the proven control plane.",
        samples: |evidence| one(evidence.figures.rto_limit_seconds),
    },
    Family {
        name: "drctl_rpo_seconds",
        help: "The age of the data when the last run began.",
        samples: |evidence| one(evidence.figures.rpo_seconds),
    },
    Family {
        name: "drctl_rpo_limit_seconds",
        help: "How old the data may be when a run begins.",
        samples: |evidence| one(evidence.figures.rpo_limit_seconds),
    },
    Family {
        name: "drctl_snapshot_size_bytes",
        help: "The size of the snapshot of the last run.",
        #[expect(clippy::cast_precision_loss, reason = "snapshots are far below 2^53 bytes")]
        samples: |evidence| one(evidence.snapshot.as_ref().map(|snapshot| snapshot.bytes as f64)),
    },
    Family {
        name: "drctl_target_create_seconds",
        help: "How long the throwaway target of the last drill took to make.",
        samples: |evidence| one(evidence.figures.create_seconds),
    },
    Family {
        name: "drctl_target_destroy_seconds",
        help: "How long the throwaway target of the last drill took to go.",
        samples: |evidence| one(evidence.figures.destroy_seconds),
    },
    Family {
        name: "drctl_step_duration_seconds",
        help: "How long each step of the last run took.",
        samples: |evidence| {
            let took = |step: &super::evidence::Step| {
                Some(Sample { label: Some(("step", step.name.clone())), value: step.seconds? })
            };
            evidence.steps.iter().filter_map(took).collect()
        },
    },
];

fn one(value: Option<f64>) -> Vec<Sample> {
    value.map(Sample::plain).into_iter().collect()
}

/// The text of these reports together; each of them of another cluster or kind.
pub fn metrics<'e>(reports: impl IntoIterator<Item = &'e Evidence>) -> String {
    let reports: Vec<&Evidence> = reports.into_iter().collect();
    let mut text = String::new();
    for family in FAMILIES {
        let mut lines = String::new();
        for evidence in &reports {
            for sample in (family.samples)(evidence) {
                line(&mut lines, family.name, evidence, &sample);
            }
        }
        if !lines.is_empty() {
            let Family { name, help, .. } = family;
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{lines}"));
        }
    }
    text
}

fn line(lines: &mut String, name: &str, evidence: &Evidence, sample: &Sample) {
    let (cluster, kind) = (escaped(&evidence.cluster), evidence.kind.word());
    let more = sample.label.as_ref();
    let more = more.map(|(name, value)| format!(",{name}=\"{}\"", escaped(value))).unwrap_or_default();
    lines.push_str(&format!("{name}{{cluster=\"{cluster}\",kind=\"{kind}\"{more}}} {}\n", sample.value));
}

/// As the text format wants the values of labels.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The name of a file for one report: each cluster and kind has its own.
pub fn file_name(evidence: &Evidence) -> String {
    format!("drctl-{}-{}.prom", evidence.kind.word(), evidence.cluster)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn labels_hold_anything() {
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }
}
