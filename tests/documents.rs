//! The files that are shipped: the example inventory, the default playbook, the schemas.

#![expect(clippy::unwrap_used, reason = "a shipped file that cannot be read is a failure")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use drctl::inventory::{self, Inventory};
use drctl::playbook;
use serde_json::Value;

const EXAMPLE: &str = include_str!("../inventory.example.toml");

fn parse(text: &str) -> Inventory {
    inventory::parse("inventory.example.toml", text, Path::new("/etc/drctl")).map_err(miette::Report::new).unwrap()
}

/// The example with every key that is off turned on.
fn all_on() -> String {
    EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.is_empty() && !key.starts_with([' ', ':']) => key,
            _ => line,
        })
        // The one pair of keys that exclude each other.
        .filter(|line| !line.starts_with("kubeadm_config ="))
        .collect::<Vec<_>>()
        .join("\n")
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
fn the_example_can_be_used() {
    let inventory = parse(EXAMPLE);
    assert_eq!(inventory.cluster.name, "prod");
    playbook::load(None, &inventory).map_err(miette::Report::new).unwrap();
}

#[test]
fn every_key_of_the_example_can_be_turned_on() {
    let inventory = parse(&all_on());
    assert_eq!(inventory.sources.len(), 4);
    assert_eq!(inventory.pki.sa_pub, Some(PathBuf::from("/etc/drctl/sa.pub")));
    assert_eq!(inventory.target.ssh_config, Some(PathBuf::from("none")));
    let home = std::env::home_dir().unwrap();
    assert_eq!(inventory.target.identity, Some(home.join(".ssh/id_ed25519")));
    let mut names: Vec<_> =
        inventory.values().into_keys().chain(["inventory.cluster.kubeadm_config".to_owned()]).collect();
    names.sort();
    let mut known = inventory::NAMES.to_vec();
    known.sort_unstable();
    assert_eq!(names, known, "`NAMES` are not those that have values");
}

#[test]
fn the_example_shows_every_key() {
    let mut all = BTreeSet::new();
    keys(&schemars::schema_for!(Inventory).to_value(), &mut all);
    let whole = all_on() + "kubeadm_config =";
    let words: BTreeSet<&str> =
        whole.split(|character: char| !character.is_ascii_alphanumeric() && character != '_').collect();
    let missing: Vec<_> = all.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "inventory.example.toml does not show {missing:?}");
}

#[test]
fn the_schemas_are_current() {
    let schemas = [("inventory", schemars::schema_for!(Inventory)), ("playbook", playbook::schema())];
    for (name, schema) in schemas {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{name}.schema.json"));
        let current = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &current).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            current,
            "docs/{name}.schema.json is stale: run `UPDATE_SCHEMAS=1 cargo test --test documents`"
        );
    }
}
