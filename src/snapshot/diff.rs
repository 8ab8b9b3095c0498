//! What came, went and changed between two snapshots, by object.
//!
//! The keys of one file are kept as 128-bit keyed digests with those of their values, a share of them at a time when they
//! are many, and the other file's keys are held against them as they pass by. So memory is bounded, whatever the files'
//! sizes; each further share of 800,000 keys costs another walk over both.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};

use schemars::JsonSchema;
use serde::Serialize;

use super::keyspace::{KeyValue, Keyspace, ReadError};
use super::object::Object;

/// How many keys are compared at a time: some 35 MiB.
const MOST: usize = 800_000;
/// Resources counted by name: more than any cluster has.
const MOST_RESOURCES: usize = 10_000;

/// The difference between two snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// Of all objects.
    pub all: Changes,
    /// By resource; those in which nothing changed are left out.
    pub resources: BTreeMap<String, Changes>,
    /// The objects, by resource, namespace and name; as many as were asked for.
    pub objects: BTreeSet<ObjectChange>,
    /// How many more there are.
    pub left_out: u64,
}

/// How many objects came, went, changed and stayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Changes {
    /// Only in the second.
    pub came: u64,
    /// Only in the first.
    pub went: u64,
    /// In both, with different values.
    pub changed: u64,
    /// In both, with the same value.
    pub same: u64,
}

/// An object that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct ObjectChange {
    /// Which.
    #[serde(flatten)]
    pub object: Object,
    /// How.
    pub change: Change,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only in the second.
    Came,
    /// Only in the first.
    Went,
    /// In both, with different values.
    Changed,
}

/// Compares what lives in two files. At most `limit` objects are listed, all are counted.
pub fn diff(first: &Keyspace, second: &Keyspace, limit: usize) -> Result<Difference, ReadError> {
    diff_in_shares(first, second, limit, MOST)
}

fn diff_in_shares(first: &Keyspace, second: &Keyspace, limit: usize, most: usize) -> Result<Difference, ReadError> {
    let digest = Digest::default();
    let mut found = Difference::default();
    let mut open = vec![(0, u128::MAX)];
    while let Some((from, mut to)) = open.pop() {
        let mut known: HashMap<u128, u128> = HashMap::new();
        first.for_each_live(|record| {
            let key = digest.of(&record.key);
            if (from..=to).contains(&key) {
                known.insert(key, digest.of(&record.value));
            }
            if known.len() > most {
                let middle = from + (to - from) / 2;
                open.push((middle + 1, to));
                to = middle;
                known.retain(|key, _| *key <= to);
            }
        })?;
        second.for_each_live(|record| {
            let key = digest.of(&record.key);
            if (from..=to).contains(&key) {
                match known.remove(&key) {
                    None => found.add(record, Some(Change::Came), limit),
                    Some(value) if value != digest.of(&record.value) => {
                        found.add(record, Some(Change::Changed), limit);
                    }
                    Some(_) => found.add(record, None, limit),
                }
            }
        })?;
        if !known.is_empty() {
            first.for_each_live(|record| {
                if known.contains_key(&digest.of(&record.key)) {
                    found.add(record, Some(Change::Went), limit);
                }
            })?;
        }
    }
    found.resources.retain(|_, changes| changes.differ() > 0);
    Ok(found)
}

/// Two keyed hashes side by side: whoever made the files does not know the keys.
#[derive(Default)]
struct Digest(RandomState, RandomState);

impl Digest {
    fn of(&self, bytes: &[u8]) -> u128 {
        u128::from(self.0.hash_one(bytes)) << 64 | u128::from(self.1.hash_one(bytes))
    }
}

impl Changes {
    /// How many are not the same.
    pub fn differ(&self) -> u64 {
        self.came + self.went + self.changed
    }

    fn count(&mut self, change: Option<Change>) {
        let counter = match change {
            Some(Change::Came) => &mut self.came,
            Some(Change::Went) => &mut self.went,
            Some(Change::Changed) => &mut self.changed,
            None => &mut self.same,
        };
        *counter += 1;
    }
}

impl Difference {
    fn add(&mut self, record: &KeyValue, change: Option<Change>, limit: usize) {
        let object = Object::of_key(&record.key);
        self.all.count(change);
        if self.resources.contains_key(&object.resource) || self.resources.len() < MOST_RESOURCES {
            self.resources.entry(object.resource.clone()).or_default().count(change);
        }
        let Some(change) = change else { return };
        self.objects.insert(ObjectChange { object, change });
        if self.objects.len() > limit {
            self.objects.pop_last();
            self.left_out += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn shares_together_find_what_one_walk_finds() {
        let open = |name: &str| {
            Keyspace::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/snapshots").join(name)).unwrap()
        };
        let (first, second) = (open("etcd-3.4.db"), open("etcd-3.5.db"));
        let whole = diff(&first, &second, usize::MAX).unwrap();
        assert_eq!(diff_in_shares(&first, &second, usize::MAX, 7).unwrap(), whole);
        assert_eq!(whole.all, Changes { same: 112, ..Changes::default() });
    }
}
