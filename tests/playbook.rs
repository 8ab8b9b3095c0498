//! Every way a playbook can be wrong, as a person sees it.

#![expect(clippy::unwrap_used, reason = "whole reports of what must be there")]

use async_trait::async_trait;
use drctl::actions::{
    Action, ActionError, Context, Declared, Description, Finding, Kind, Outcome, PlanContext, SetAside, Verdict,
};
use drctl::inventory::LoadError;
use drctl::playbook::{Known, Playbook, read};
use drctl::text::{Text, Values};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

/// Changes nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Probe {
    /// A file.
    path: Text,
    #[serde(default)]
    words: Vec<Text>,
    #[serde(default)]
    mode: u32,
}

impl Declared for Probe {
    const NAME: &'static str = "probe";
    const OUTPUTS: &'static [&'static str] = &["path", "digest"];
}

#[async_trait]
impl Action for Probe {
    fn texts(&self) -> Vec<&Text> {
        std::iter::once(&self.path).chain(&self.words).collect()
    }

    fn describe(&self, _: &PlanContext<'_>) -> Description {
        Description { summary: format!("probe {} ({})", self.path, self.mode), ..Description::default() }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "a probe changes nothing" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    async fn apply(&self, _: &Context<'_>) -> Result<Outcome, ActionError> {
        Ok(Outcome::Done(Values::new()))
    }

    async fn verify(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::Took(Values::new()))
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }
}

const KINDS: &[Kind] = &[Kind::of::<Probe>()];

const WHOLE: &str = r#"name = "test"

[[step]]
name = "first"
action = "probe"
path = "/srv/${snapshot.name}"
timeout = "1h 30m"
retries = 2
on_failure = "rollback"

[[step]]
name = "maybe"
action = "probe"
when = "pki.sa.key"
path = "${step.first.path}"

[[step]]
name = "last"
action = "probe"
when = 'target.os == "Debian"'
path = "/etc/$$HOME/${inventory.cluster.name}"
words = ["${run.id}", "${target.os}"]
"#;

fn load(text: &str) -> Result<Playbook, LoadError> {
    let inventory = [("inventory.cluster.name".to_owned(), "prod".to_owned())].into();
    read("test.toml", text, &Known { kinds: KINDS, facts: &["target.os"], inventory })
}

fn report(text: &str) -> String {
    let mut report = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut report, &load(text).unwrap_err())
        .unwrap();
    report
}

/// The report of the whole playbook with one text replaced by another.
fn with(of: &str, by: &str) -> String {
    assert!(WHOLE.contains(of), "{of}");
    report(&WHOLE.replacen(of, by, 1))
}

#[test]
fn a_whole_playbook() {
    let playbook = load(WHOLE).unwrap();
    assert_eq!((playbook.name.as_str(), playbook.text.as_str()), ("test", WHOLE));
    let steps: Vec<_> = playbook
        .steps
        .iter()
        .map(|step| {
            let when = step.when.as_ref().map(ToString::to_string).unwrap_or_default();
            let limit = step.timeout.map(|limit| limit.to_string()).unwrap_or_default();
            format!("{} {} {when} {limit} {} {:?}", step.name, step.kind.name, step.retries, step.on_failure)
        })
        .collect();
    insta::assert_snapshot!(steps.join("\n"), @r#"
    first probe  1h 30m 2 Some(Rollback)
    maybe probe pki.sa.key  0 None
    last probe target.os == "Debian"  0 None
    "#);
}

#[test]
fn an_unknown_action() {
    insta::assert_snapshot!(with("\"probe\"", "\"prob\""), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × unknown action `prob`
       ╭─[test.toml:5:10]
     4 │ name = "first"
     5 │ action = "prob"
       ·          ───┬──
       ·             ╰── wrong here
     6 │ path = "/srv/${snapshot.name}"
       ╰────
      help: did you mean `probe`?
            actions: `probe`
    "#);
}

#[test]
fn no_action_and_no_name() {
    insta::assert_snapshot!(with("name = \"first\"\naction = \"probe\"\n", ""), @r#"
      × the playbook `test.toml` has 2 errors

    Error: 
      × the key `name` is missing
       ╭─[test.toml:3:1]
     2 │ 
     3 │ [[step]]
       · ────┬───
       ·     ╰── not in here
     4 │ path = "/srv/${snapshot.name}"
       ╰────
      help: add `name`

    Error: 
      × the key `action` is missing
       ╭─[test.toml:3:1]
     2 │ 
     3 │ [[step]]
       · ────┬───
       ·     ╰── not in here
     4 │ path = "/srv/${snapshot.name}"
       ╰────
      help: add `action`
    "#);
}

#[test]
fn an_unknown_parameter_and_a_missing_one() {
    insta::assert_snapshot!(with("path = \"/srv/${snapshot.name}\"", "paths = []\ntimout = \"3s\""), @r#"
      × the playbook `test.toml` has 3 errors

    Error: 
      × the key `path` is missing
       ╭─[test.toml:3:1]
     2 │ 
     3 │ [[step]]
       · ────┬───
       ·     ╰── not in here
     4 │ name = "first"
       ╰────
      help: add `path`

    Error: 
      × unknown key `paths`
       ╭─[test.toml:6:1]
     5 │ action = "probe"
     6 │ paths = []
       · ──┬──
       ·   ╰── not known here
     7 │ timout = "3s"
       ╰────
      help: did you mean `path`?
            known here: `path`, `words`, `mode`, `name`, `action`, `when`, `timeout`, `retries`,
            `on_failure`

    Error: 
      × unknown key `timout`
       ╭─[test.toml:7:1]
     6 │ paths = []
     7 │ timout = "3s"
       · ───┬──
       ·    ╰── not known here
     8 │ timeout = "1h 30m"
       ╰────
      help: did you mean `timeout`?
            known here: `path`, `words`, `mode`, `name`, `action`, `when`, `timeout`, `retries`,
            `on_failure`
    "#);
}

#[test]
fn wrong_types() {
    insta::assert_snapshot!(with("retries = 2", "retries = \"2\"\nmode = \"0644\"\nwords = [\"a\", 3]"), @r#"
      × the playbook `test.toml` has 3 errors

    Error: 
      × expected a whole number from 0 to 4294967295, found the text "2"
       ╭─[test.toml:8:11]
     7 │ timeout = "1h 30m"
     8 │ retries = "2"
       ·           ─┬─
       ·            ╰── wrong here
     9 │ mode = "0644"
       ╰────
      help: write it without quotes: `2`

    Error: 
      × expected a whole number from 0 to 4294967295, found the text "0644"
        ╭─[test.toml:9:8]
      8 │ retries = "2"
      9 │ mode = "0644"
        ·        ───┬──
        ·           ╰── wrong here
     10 │ words = ["a", 3]
        ╰────
      help: write it without quotes: `0644`

    Error: 
      × expected text in quotes, found the number `3`
        ╭─[test.toml:10:15]
      9 │ mode = "0644"
     10 │ words = ["a", 3]
        ·               ┬
        ·               ╰── wrong here
     11 │ on_failure = "rollback"
        ╰────
      help: write it as text: `"3"`
    "#);
}

#[test]
fn names_that_cannot_be() {
    insta::assert_snapshot!(with("name = \"first\"", "name = \"../first\""), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × `../first` cannot be a step's name
       ╭─[test.toml:4:8]
     3 │ [[step]]
     4 │ name = "../first"
       ·        ─────┬────
       ·             ╰── wrong here
     5 │ action = "probe"
       ╰────
      help: use lower-case letters, digits and `-`, at most 40, not `-` first: it becomes a folder's
            name
    "#);
}

#[test]
fn a_name_that_is_drctls_own() {
    insta::assert_snapshot!(report(&WHOLE.replace("first", "passing")), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × `passing` cannot be a step's name
       ╭─[test.toml:4:8]
     3 │ [[step]]
     4 │ name = "passing"
       ·        ────┬────
       ·            ╰── wrong here
     5 │ action = "probe"
       ╰────
      help: use another: `uploads`, `passing`, `busy`, `later`, `kubelet-before` are drctl's own,
            where each step has a folder of its name
    "#);
    for own in ["uploads", "busy", "later", "kubelet-before"] {
        assert!(report(&WHOLE.replace("first", own)).contains(&format!("`{own}` cannot be a step's name")));
    }
}

#[test]
fn two_steps_of_one_name() {
    insta::assert_snapshot!(with("name = \"maybe\"", "name = \"first\""), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × two steps are called `first`
       ╭─[test.toml:4:8]
     3 │ [[step]]
     4 │ name = "first"
       ·        ───┬───
       ·           ╰── first here
     5 │ action = "probe"
       ╰────
        ╭─[test.toml:12:8]
     11 │ [[step]]
     12 │ name = "first"
        ·        ───┬───
        ·           ╰── again here
     13 │ action = "probe"
        ╰────
      help: give each step a name of its own
    "#);
}

#[test]
fn an_unknown_reference() {
    insta::assert_snapshot!(with("${snapshot.name}", "${snapshot.nam}${facts.os}"), @r#"
      × the playbook `test.toml` has 2 errors

    Error: 
      × unknown name `snapshot.nam`
       ╭─[test.toml:6:14]
     5 │ action = "probe"
     6 │ path = "/srv/${snapshot.nam}${facts.os}"
       ·              ───────┬───────
       ·                     ╰── referred to here
     7 │ timeout = "1h 30m"
       ╰────
      help: did you mean `snapshot.name`?
            known: `snapshot.name`, `snapshot.path`, `snapshot.source`, `snapshot.sha256`,
            `snapshot.size`, `snapshot.taken`, `snapshot.revision`

    Error: 
      × unknown name `facts.os`
       ╭─[test.toml:6:29]
     5 │ action = "probe"
     6 │ path = "/srv/${snapshot.nam}${facts.os}"
       ·                             ─────┬─────
       ·                                  ╰── referred to here
     7 │ timeout = "1h 30m"
       ╰────
      help: names begin with `inventory.`, `target.`, `snapshot.`, `pki.`, `run.` or `step.`
    "#);
}

#[test]
fn a_reference_to_a_later_step_and_to_itself() {
    insta::assert_snapshot!(with("${snapshot.name}", "${step.last.path}${step.first.path}"), @r#"
      × the playbook `test.toml` has 2 errors

    Error: 
      × step `last` comes later
       ╭─[test.toml:6:14]
     5 │ action = "probe"
     6 │ path = "/srv/${step.last.path}${step.first.path}"
       ·              ────────┬────────
       ·                      ╰── referred to here
     7 │ timeout = "1h 30m"
       ╰────
      help: move it before step `first`

    Error: 
      × step `first` refers to its own output
       ╭─[test.toml:6:31]
     5 │ action = "probe"
     6 │ path = "/srv/${step.last.path}${step.first.path}"
       ·                               ─────────┬────────
       ·                                        ╰── referred to here
     7 │ timeout = "1h 30m"
       ╰────
      help: refer to a step before it
    "#);
}

#[test]
fn a_reference_to_an_unknown_step_or_output() {
    insta::assert_snapshot!(with("\"${step.first.path}\"", "\"${step.frist.path}\"\nwords = [\"${step.first.digst}\"]"), @r#"
      × the playbook `test.toml` has 2 errors

    Error: 
      × there is no step `frist`
        ╭─[test.toml:15:9]
     14 │ when = "pki.sa.key"
     15 │ path = "${step.frist.path}"
        ·         ─────────┬────────
        ·                  ╰── referred to here
     16 │ words = ["${step.first.digst}"]
        ╰────
      help: did you mean `first`?
            steps before this one: `first`

    Error: 
      × step `first` has no output `digst`
        ╭─[test.toml:16:11]
     15 │ path = "${step.frist.path}"
     16 │ words = ["${step.first.digst}"]
        ·           ─────────┬─────────
        ·                    ╰── referred to here
     17 │ 
        ╰────
      help: did you mean `digest`?
            its outputs: `path`, `digest`
    "#);
}

#[test]
fn a_reference_to_a_step_that_may_be_skipped() {
    insta::assert_snapshot!(with("${run.id}", "${step.maybe.path}"), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × step `maybe` may be skipped and then has no output
        ╭─[test.toml:22:11]
     21 │ path = "/etc/$$HOME/${inventory.cluster.name}"
     22 │ words = ["${step.maybe.path}", "${target.os}"]
        ·           ─────────┬────────
        ·                    ╰── referred to here
        ╰────
      help: let this step run only `when = 'pki.sa.key'` too, or `when = "step.maybe.path"`
    "#);
    let same = WHOLE.replace("'target.os == \"Debian\"'", "\"pki.sa.key\"").replace("${run.id}", "${step.maybe.path}");
    load(&same).unwrap();
    let asks =
        WHOLE.replace("'target.os == \"Debian\"'", "\"step.maybe.path\"").replace("${run.id}", "${step.maybe.path}");
    load(&asks).unwrap();
}

#[test]
fn a_reference_to_what_the_inventory_leaves_out() {
    insta::assert_snapshot!(with("${snapshot.name}", "${inventory.cluster.kubernetes}"), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × `inventory.cluster.kubernetes` is not set in the inventory
       ╭─[test.toml:6:14]
     5 │ action = "probe"
     6 │ path = "/srv/${inventory.cluster.kubernetes}"
       ·              ───────────────┬───────────────
       ·                             ╰── referred to here
     7 │ timeout = "1h 30m"
       ╰────
      help: set `cluster.kubernetes` there, or let the step run only `when =
            "inventory.cluster.kubernetes"`
    "#);
    let asked = WHOLE
        .replace("\"pki.sa.key\"", "\"inventory.cluster.kubernetes\"")
        .replace("${step.first.path}", "${inventory.cluster.kubernetes}");
    load(&asked).unwrap();
}

#[test]
fn texts_that_cannot_be_read() {
    insta::assert_snapshot!(with("/etc/$$HOME", "/etc/$HOME"), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × a lone `$`
        ╭─[test.toml:21:8]
     20 │ when = 'target.os == "Debian"'
     21 │ path = "/etc/$HOME/${inventory.cluster.name}"
        ·        ───────────────────┬──────────────────
        ·                           ╰── wrong here
     22 │ words = ["${run.id}", "${target.os}"]
        ╰────
      help: write `${name}` for a value and `$$` for a dollar sign
    "#);
}

#[test]
fn conditions_that_cannot_be_read() {
    insta::assert_snapshot!(with("\"pki.sa.key\"", "\"pki.sa.key and pki.sa.pub\""), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × `pki.sa.key and pki.sa.pub` is not a name
        ╭─[test.toml:14:8]
     13 │ action = "probe"
     14 │ when = "pki.sa.key and pki.sa.pub"
        ·        ─────────────┬─────────────
        ·                     ╰── wrong here
     15 │ path = "${step.first.path}"
        ╰────
      help: write `name`, `not name`, `name == "text"` or `name != "text"`, without `${}`
    "#);
}

#[test]
fn conditions_of_unknown_names() {
    insta::assert_snapshot!(with("\"pki.sa.key\"", "\"not pki.sa_key\""), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × unknown name `pki.sa_key`
        ╭─[test.toml:14:13]
     13 │ action = "probe"
     14 │ when = "not pki.sa_key"
        ·             ─────┬────
        ·                  ╰── referred to here
     15 │ path = "${step.first.path}"
        ╰────
      help: did you mean `pki.sa.key`?
            known: `pki.ca.crt`, `pki.ca.key`, `pki.sa.pub`, `pki.sa.key`, `pki.front-proxy-ca.crt`,
            `pki.front-proxy-ca.key`, `pki.etcd.ca.crt`, `pki.etcd.ca.key`, `pki.encryption-config`
    "#);
}

#[test]
fn limits_of_nothing() {
    insta::assert_snapshot!(with("\"1h 30m\"", "\"0s\""), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × a step cannot end in no time
       ╭─[test.toml:7:11]
     6 │ path = "/srv/${snapshot.name}"
     7 │ timeout = "0s"
       ·           ──┬─
       ·             ╰── wrong here
     8 │ retries = 2
       ╰────
      help: write for example `30s` or `10m`
    "#);
}

#[test]
fn no_steps() {
    insta::assert_snapshot!(report("name = \"test\"\nsteps = []\n"), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × unknown key `steps`
       ╭─[test.toml:2:1]
     1 │ name = "test"
     2 │ steps = []
       · ──┬──
       ·   ╰── not known here
       ╰────
      help: did you mean `step`?
            known here: `name`, `description`, `step`
    "#);
}

#[test]
fn steps_that_are_none() {
    insta::assert_snapshot!(report("name = \"test\"\nstep = [3]\n"), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × a step must be a table
       ╭─[test.toml:2:9]
     1 │ name = "test"
     2 │ step = [3]
       ·         ┬
       ·         ╰── wrong here
       ╰────
      help: write `[[step]]` before each step
    "#);
    insta::assert_snapshot!(report("name = \"test\"\nstep = \"first\"\n"), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × `step` is not a list of steps
       ╭─[test.toml:2:8]
     1 │ name = "test"
     2 │ step = "first"
       ·        ───┬───
       ·           ╰── wrong here
       ╰────
      help: write `[[step]]` before each step
    "#);
}

#[test]
fn syntax_and_what_stands_before_it() {
    insta::assert_snapshot!(with("path = \"/etc", "path = /etc").replace('\u{0}', ""), @r#"
      × the playbook `test.toml` has an error

    Error: 
      × not TOML: string values must be quoted
        ╭─[test.toml:21:8]
     20 │ when = 'target.os == "Debian"'
     21 │ path = /etc/$$HOME/${inventory.cluster.name}"
        ·        ──────┬──────
        ·              ╰── here
     22 │ words = ["${run.id}", "${target.os}"]
        ╰────
      help: write a value behind `=`; text stands in quotes: `key = "text"`
    "#);
    insta::assert_snapshot!(report(&WHOLE.replace("retries = 2", "retris = 2").replace("[[step]]\nname = \"last\"", "[[step\nname = \"last\"")), @r#"
      × the playbook `test.toml` has 2 errors

    Error: 
      × unknown key `retris`
       ╭─[test.toml:8:1]
     7 │ timeout = "1h 30m"
     8 │ retris = 2
       · ───┬──
       ·    ╰── not known here
     9 │ on_failure = "rollback"
       ╰────
      help: did you mean `retries`?
            known here: `path`, `words`, `mode`, `name`, `action`, `when`, `timeout`, `retries`,
            `on_failure`

    Error: 
      × not TOML: unclosed array table
        ╭─[test.toml:17:7]
     16 │ 
     17 │ [[step
        ·       ▲
        ·       ╰── here
     18 │ name = "last"
        ╰────
      help: expected `]]`
    "#);
}

proptest! {
    #[test]
    fn any_text_ends_with_a_playbook_or_a_report(text in "(\\[\\[step\\]\\]\n|name|action|when|path| = |\"|probe|\\$\\{|\\}|'''|[\\[\\]{}=#,.]|\n|.){0,40}") {
        if let Err(error) = load(&text) {
            drop(miette_report(&error));
        }
    }

    #[test]
    fn so_does_a_damaged_playbook(from in 0..WHOLE.len(), length in 0..40_usize, by in ".{0,5}") {
        let (from, to) = (WHOLE.floor_char_boundary(from), WHOLE.ceil_char_boundary((from + length).min(WHOLE.len())));
        let text = [&WHOLE[..from], &by, &WHOLE[to..]].concat();
        if let Err(error) = load(&text) {
            drop(miette_report(&error));
        }
    }
}

fn miette_report(error: &LoadError) -> String {
    let mut report = String::new();
    miette::GraphicalReportHandler::new().render_report(&mut report, error).unwrap();
    report
}
