//! The documentation holds what the program has: actions, commands, exit codes, findings, keys, events.

#![expect(clippy::unwrap_used, reason = "documentation that cannot be read is a failure")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use drctl::actions::KINDS;
use drctl::event::{Event, Live};
use drctl::inventory::{self, Inventory};
use drctl::report::Evidence;
use drctl::{cli, playbook};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// All pages, by their paths from the root.
fn pages() -> Vec<String> {
    let listed = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let listed = listed.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let names = listed.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
    names.map(|name| format!("docs/{name}")).chain(["README.md".to_owned()]).collect()
}

/// The text between a heading of the second level and the next.
fn section<'a>(page: &'a str, heading: &str) -> Option<&'a str> {
    let from = page.find(&format!("\n## {heading}\n"))? + 1;
    let text = &page[from..];
    Some(text.get(3..).and_then(|rest| rest.find("\n## ")).map_or(text, |end| &text[..end + 3]))
}

/// The blocks of a language, without what they are indented by.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), None::<(usize, String)>);
    for line in page.lines() {
        let indent = line.len() - line.trim_start().len();
        match &mut open {
            None if line.trim() == format!("```{language}") => open = Some((indent, String::new())),
            None => {}
            Some(_) if line.trim() == "```" => found.extend(open.take().map(|(_, text)| text)),
            Some((indent, text)) => {
                text.push_str(line.get(*indent..).unwrap_or_default());
                text.push('\n');
            }
        }
    }
    found
}

/// The first cells of a page's tables, as they stand between backticks.
fn first_cells(page: &str) -> BTreeSet<String> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn load_inventory(text: &str) -> Inventory {
    inventory::parse("documentation", text, Path::new("/etc/drctl")).map_err(miette::Report::new).unwrap()
}

#[test]
fn every_action_has_a_section_with_its_parameters() {
    let text = page("docs/actions.md");
    for kind in KINDS {
        let section = section(&text, kind.name).unwrap_or_else(|| panic!("docs/actions.md has no `## {}`", kind.name));
        let schema = (kind.schema)(&mut SchemaSettings::draft2020_12().into_generator()).to_value();
        let parameters = schema["properties"].as_object().cloned().unwrap_or_default();
        let names = parameters.keys().map(String::as_str);
        for name in names.chain(kind.outputs.iter().copied()) {
            assert!(section.contains(&format!("`{name}`")), "docs/actions.md: `{}` lacks `{name}`", kind.name);
        }
        let known: BTreeSet<String> = parameters.keys().cloned().collect();
        let told = section
            .lines()
            .skip_while(|line| !line.starts_with("| parameter "))
            .take_while(|line| line.starts_with('|'));
        let told = first_cells(&told.collect::<Vec<_>>().join("\n"));
        assert_eq!(told, known, "docs/actions.md: the parameters of `{}`", kind.name);
        assert!(!blocks(section, "toml").is_empty(), "docs/actions.md: `{}` has no example", kind.name);
    }
    let headings: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(headings, KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>(), "docs/actions.md: order of sections");
}

#[test]
fn every_command_has_a_section_with_its_options() {
    let text = page("docs/commands.md");
    let command = cli::command();
    let long = |arg: &clap::Arg| arg.get_long().map(|long| format!("--{long}"));
    for option in command.get_arguments().filter_map(long) {
        assert!(text.contains(&option), "docs/commands.md lacks {option}");
    }
    for sub in command.get_subcommands() {
        let name = sub.get_name();
        let section = section(&text, name).unwrap_or_else(|| panic!("docs/commands.md has no `## {name}`"));
        let below = sub.get_subcommands().flat_map(clap::Command::get_arguments);
        for option in sub.get_arguments().chain(below).filter_map(long) {
            assert!(section.contains(&option), "docs/commands.md: `{name}` lacks {option}");
        }
        for below in sub.get_subcommands().map(clap::Command::get_name) {
            assert!(section.contains(&format!("drctl {name} {below}")), "docs/commands.md: `{name}` lacks {below}");
        }
    }
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let help = cli::command().get_after_help().unwrap().to_string();
    let coded = |line: &str, rest: &str| line.parse::<u8>().ok().map(|code| (code, rest.trim().to_owned()));
    let helped: Vec<_> = help
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .filter_map(|(code, meaning)| coded(code, meaning))
        .collect();
    let readme = page("README.md");
    let told: Vec<_> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .filter_map(|(code, meaning)| coded(code, meaning))
        .collect();
    assert_eq!(told, helped);
    assert_eq!(told.len(), 9);
}

#[test]
fn every_toml_block_is_read_by_the_real_readers() {
    let example = load_inventory(include_str!("../inventory.example.toml"));
    let rest = "[cluster]\nname = 'x'\nendpoint = 'x:6443'\n[[snapshots]]\nfolder.path = '/x'\n[pki]\ndir = '/x'\n";
    let (mut steps, mut inventories) = (0, 0);
    for name in pages() {
        for block in blocks(&page(&name), "toml") {
            if block.starts_with("[[step]]") {
                steps += 1;
                let earlier = "name = 'x'\n[[step]]\nname = 'fetch-snapshot'\naction = 'fetch_snapshot'\n";
                let own = block.contains("name = \"fetch-snapshot\"");
                let text = format!("{}\n{block}", if own { "name = 'x'" } else { earlier });
                playbook::parse(&name, &text, &example).map_err(miette::Report::new).unwrap();
            } else if block.starts_with("# inventory, an excerpt\n") {
                inventories += 1;
                let target = if block.contains("[target]") { "" } else { "[target]\nhost = 'x'\n" };
                load_inventory(&format!("{block}\n{rest}{target}"));
            } else if block.starts_with("# inventory\n") {
                inventories += 1;
                load_inventory(&block);
            } else {
                panic!("{name}: a TOML block that is neither a step nor marked as an inventory:\n{block}");
            }
        }
    }
    assert!(steps > KINDS.len() && inventories >= 2, "{steps} steps, {inventories} inventories");
}

/// All Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of findings in the code.
fn findings() -> BTreeSet<String> {
    let (mut files, mut names) = (Vec::new(), BTreeSet::new());
    sources(&root().join("src"), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // `make` is one of the three, chosen by how bad it is.
        let makers: &[&str] = if text.contains("Finding::error }") { &["make("] } else { &[] };
        for maker in ["Finding::ok(", "Finding::warning(", "Finding::error("].iter().chain(makers) {
            for rest in text.split(maker).skip(1) {
                let first = rest.trim_start();
                if let Some(quoted) = first.strip_prefix('"') {
                    names.extend(quoted.split('"').next().map(str::to_owned));
                } else if first.starts_with("HELD") {
                    names.insert(drctl::check::HELD.to_owned());
                } else if first.starts_with("ANSWERS") {
                    names.insert(drctl::check::ANSWERS.to_owned());
                } else if first.starts_with("UNHEARD") {
                    names.insert(drctl::check::UNHEARD.to_owned());
                } else {
                    panic!("{}: a finding whose name this test cannot see", file.display());
                }
            }
        }
    }
    names
}

#[test]
fn every_finding_is_explained() {
    let told = first_cells(&page("docs/checks.md"));
    let found = findings();
    let missing: Vec<_> = found.difference(&told).collect();
    assert!(missing.is_empty(), "docs/checks.md does not explain {missing:?}");
    let gone: Vec<_> = told.difference(&found).collect();
    assert!(gone.is_empty(), "docs/checks.md explains {gone:?}, which nothing finds");
}

/// All names of properties of a schema.
fn keys(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                if let ("properties", Value::Object(properties)) = (key.as_str(), value) {
                    found.extend(properties.keys().cloned());
                }
                keys(value, found);
            }
        }
        Value::Array(array) => array.iter().for_each(|value| keys(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_key_of_an_inventory_is_explained() {
    let mut all = BTreeSet::new();
    keys(&schemars::schema_for!(Inventory).to_value(), &mut all);
    let text = page("docs/inventory.md") + &page("docs/drill-providers.md");
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let missing: Vec<_> = all.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "docs/inventory.md does not explain {missing:?}");
}

#[test]
fn every_name_that_playbooks_may_use_is_told() {
    let text = page("docs/playbooks.md");
    let files = inventory::PkiFiles::VALUE_NAMES.iter();
    for name in
        inventory::NAMES.iter().chain(drctl::target::VALUE_NAMES).chain(drctl::sources::Chosen::NAMES).chain(files)
    {
        let (family, last) = name.split_at(name.rfind('.').unwrap());
        let short =
            text.lines().any(|line| line.contains(&format!("`{family}.")) && line.contains(&format!("`{last}`")));
        assert!(short || text.contains(&format!("`{name}`")), "docs/playbooks.md does not tell of `{name}`");
    }
}

/// One line of the NDJSON output, as far as events go.
fn events_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let record = generator.subschema_for::<Event>();
    let live = generator.subschema_for::<Live>();
    let definitions = generator.take_definitions(true);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Line",
        "description": "One line of `drctl --output json`: `kind` says what `data` is; `docs/events.md` tells of the kinds.",
        "type": "object",
        "properties": { "kind": { "type": "string" }, "at": { "type": "string", "format": "date-time" }, "data": true },
        "required": ["kind", "data"],
        "allOf": [
            { "if": { "properties": { "kind": { "const": "record" } } }, "then": { "properties": { "data": record } } },
            { "if": { "properties": { "kind": { "const": "live" } } }, "then": { "properties": { "data": live } } },
        ],
        "$defs": definitions,
    })
}

fn is_current(name: &str, schema: &Value) {
    is_current_text(name, &(serde_json::to_string_pretty(schema).unwrap() + "\n"));
}

fn is_current_text(name: &str, current: &str) {
    let path = root().join(name);
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, current).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == current, "{name} is stale: run `UPDATE_SCHEMAS=1 cargo test --test docs`");
}

#[test]
fn the_schema_of_reports_is_current() {
    is_current("docs/report.schema.json", &schemars::schema_for!(Evidence).to_value());
}

/// The example is what this drctl makes of a real run's report.
#[test]
fn the_example_of_a_report_is_current() {
    let evidence: Evidence = serde_json::from_str(&page("docs/examples/report.json")).unwrap();
    is_current_text("docs/examples/report.json", &evidence.json().unwrap());
    is_current_text("docs/examples/report.md", &drctl::report::markdown(&evidence));
    is_current_text("docs/examples/report.html", &drctl::report::html(&evidence));
}

/// Every metric has its line, and none that is gone has one.
#[test]
fn every_metric_is_told() {
    let evidence: Evidence = serde_json::from_str(&page("docs/examples/report.json")).unwrap();
    let mut drill = evidence.clone();
    (drill.figures.create_seconds, drill.figures.destroy_seconds) = (Some(1.0), Some(1.0));
    (drill.figures.rto_limit_seconds, drill.figures.rpo_limit_seconds) = (Some(1.0), Some(1.0));
    let text = drctl::report::metrics::metrics([&drill]);
    let written: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect();
    let told = first_cells(section(&page("docs/reports.md"), "Metrics").unwrap());
    assert_eq!(told, written);
}

#[test]
fn the_schema_of_events_is_current() {
    is_current("docs/events.schema.json", &events_schema());
}

/// One line of `drctl snapshot … --output json`.
fn snapshots_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let answers = cli::answers(&mut generator);
    let definitions = generator.take_definitions(true);
    let cases = answers.map(|(kind, data)| {
        json!({
            "if": { "properties": { "kind": { "const": kind } } }, "then": { "properties": { "data": data } },
        })
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Line",
        "description": "One line of `drctl snapshot … --output json`: `kind` says what `data` is.",
        "type": "object",
        "properties": { "kind": { "type": "string" }, "at": { "type": "string", "format": "date-time" }, "data": true },
        "required": ["kind", "at", "data"],
        "allOf": cases,
        "$defs": definitions,
    })
}

#[test]
fn the_schema_of_snapshots_is_current() {
    is_current("docs/snapshots.schema.json", &snapshots_schema());
}

#[test]
fn every_answer_about_snapshots_is_told() {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    for (kind, _) in cli::answers(&mut generator) {
        for name in ["docs/events.md", "docs/snapshots.md"] {
            assert!(page(name).contains(&format!("`{kind}`")), "{name} lacks `{kind}`");
        }
    }
}

#[test]
fn every_event_is_in_the_table_of_the_journal() {
    let text = page("docs/journal.md");
    let schema = schemars::schema_for!(Event).to_value();
    for variant in schema["oneOf"].as_array().unwrap() {
        let name = variant["properties"]["event"]["const"].as_str().unwrap();
        assert!(text.contains(&format!("`{name}`")), "docs/journal.md lacks `{name}`");
    }
}

#[test]
fn links_lead_somewhere() {
    for name in pages() {
        let folder = root().join(&name).parent().unwrap().to_owned();
        for target in page(&name).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.contains("://") && !path.is_empty() {
                assert!(folder.join(path).exists(), "{name}: {target}");
            }
        }
    }
}
