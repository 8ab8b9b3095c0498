//! etcd's buckets: the revisions, the keys that live at the newest one, and what the store says of itself.
//!
//! The bucket `key` holds one record per revision, oldest first, and several per key until they are compacted away. So
//! it is walked **backwards**: the first record met of a key is its newest, and it lives unless it is a tombstone.
//!
//! Every bucket is walked to its end, whether its records mean anything here or not: a damaged page is told wherever it is.

mod newest;
mod record;
mod store;

use std::fs::File;
use std::path::Path;

use prost::Message as _;
use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

use super::bolt::{Bolt, BoltError, Bucket, Cursor, Direction, Entry, Pages, Place, Reached};

pub use record::KeyValue;
pub use store::{Alarm, Member, Store};

use newest::Walks;
use record::Revision;

/// An etcd database, open for reading.
#[derive(Debug)]
pub struct Keyspace {
    bolt: Bolt,
    keys: Bucket,
    store: Store,
    /// Pages of all buckets but the keys'.
    reached: Reached,
}

/// What a walk over all records came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walked {
    /// Revision and counts.
    pub totals: Totals,
    /// What the pages are.
    pub pages: Pages,
}

/// What was counted on a walk over all records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Totals {
    /// The newest revision, as `etcdctl endpoint status` says it.
    pub revision: i64,
    /// Records, old ones and tombstones included.
    pub records: u64,
    /// Keys that live at the newest revision, as `etcdctl get "" --prefix --count-only` says.
    pub live_keys: u64,
    /// Bytes of their keys and values.
    pub live_bytes: u64,
}

/// A database that could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Its pages.
    #[error("could not read the database's pages")]
    Pages(#[from] BoltError),
    /// A bbolt file of another program.
    #[error("not etcd's database: it has no bucket `key`, but {found}")]
    Foreign {
        /// The buckets that it has.
        found: String,
    },
    /// A record beside the keys.
    #[error("{place}: a record of the bucket `{bucket}` is damaged: {reason}")]
    Aside {
        /// The page that holds it.
        place: Place,
        /// Its bucket.
        bucket: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A record whose key is no revision.
    #[error("{place}: a record's key of {length} bytes is no revision")]
    Revision {
        /// The page that holds it.
        place: Place,
        /// The key's length.
        length: usize,
    },
    /// A record whose value is no key-value pair.
    #[error("{place}: the record of revision {main} is damaged")]
    Record {
        /// The page that holds it.
        place: Place,
        /// Its revision.
        main: i64,
        /// Why.
        source: prost::DecodeError,
    },
}

impl Keyspace {
    /// Opens a snapshot, or a `db` copied from a data folder.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Self::of(Bolt::open(path)?)
    }

    /// The same of a file that is open already, such as one in memory.
    pub fn from_file(file: File) -> Result<Self, ReadError> {
        Self::of(Bolt::from_file(file)?)
    }

    fn of(bolt: Bolt) -> Result<Self, ReadError> {
        let mut reached = bolt.nothing_reached();
        let mut buckets = bolt.buckets(&mut reached)?;
        let at = buckets.iter().position(|(name, _)| name == b"key");
        let at = at.ok_or_else(|| ReadError::Foreign { found: names(&buckets) })?;
        let (_, keys) = buckets.swap_remove(at);
        let store = Store::read(&bolt, &buckets, &mut reached)?;
        Ok(Self { bolt, keys, store, reached })
    }

    /// What the store says of itself.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Counts, without looking at values.
    pub fn totals(&self) -> Result<Totals, ReadError> {
        self.for_each_live(|_| {}).map(|walked| walked.totals)
    }

    /// Shows each key that lives at the newest revision; the latest changed first, as long as one walk is enough.
    pub fn for_each_live(&self, visit: impl FnMut(&KeyValue)) -> Result<Walked, ReadError> {
        self.walk(Walks::new(), visit)
    }

    fn walk(&self, mut walks: Walks, mut visit: impl FnMut(&KeyValue)) -> Result<Walked, ReadError> {
        let mut record = KeyValue::default();
        let mut first: Option<(Totals, Reached)> = None;
        let (mut live_keys, mut live_bytes) = (0, 0);
        while let Some(mut newest) = walks.next() {
            let mut reached = self.reached.clone();
            let mut totals = Totals { revision: self.store.newest_compaction(), ..Totals::default() };
            let mut cursor = self.bolt.walk(&self.keys, Direction::Backward, &mut reached)?;
            while let Some(revision) = next_record(&mut cursor, &mut record)? {
                totals.records += 1;
                totals.revision = totals.revision.max(revision.main);
                // A restore that bumps the revision leaves a record without a key.
                let named = !record.key.is_empty();
                if named && newest.shows(&record.key, revision.main > self.store.compacted) && !revision.tombstone {
                    live_keys += 1;
                    live_bytes += (record.key.len() + record.value.len()) as u64;
                    visit(&record);
                }
            }
            first.get_or_insert((totals, reached));
        }
        let (totals, reached) = first.unwrap_or_else(|| (Totals::default(), self.reached.clone()));
        Ok(Walked { totals: Totals { live_keys, live_bytes, ..totals }, pages: self.bolt.pages(reached)? })
    }
}

/// Reads the next record into `record`.
fn next_record(cursor: &mut Cursor<'_>, record: &mut KeyValue) -> Result<Option<Revision>, ReadError> {
    let Some(Entry { key, value, place, .. }) = cursor.next()? else { return Ok(None) };
    let revision = Revision::parse(key).ok_or(ReadError::Revision { place, length: key.len() })?;
    record.clear();
    record.merge(value).map_err(|source| ReadError::Record { place, main: revision.main, source })?;
    Ok(Some(revision))
}

/// The names of a foreign file's buckets, a few of them.
fn names(buckets: &[(Vec<u8>, Bucket)]) -> String {
    const SHOWN: usize = 5;
    if buckets.is_empty() {
        return "no bucket at all".to_owned();
    }
    let shown = buckets.iter().take(SHOWN).map(|(name, _)| format!("`{}`", name.escape_ascii()));
    let more = if buckets.len() > SHOWN { format!(" and {} more", buckets.len() - SHOWN) } else { String::new() };
    shown.collect::<Vec<_>>().join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_walks_come_to_the_same_as_one() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/snapshots/etcd-3.4.db");
        let keyspace = Keyspace::open(&file).unwrap();
        let gather = |walks| {
            let mut keys = std::collections::BTreeMap::new();
            let walked = keyspace.walk(walks, |record| {
                assert!(keys.insert(record.key.clone(), record.mod_revision).is_none(), "a key is shown once");
            });
            (walked.unwrap(), keys)
        };
        assert_eq!(gather(Walks::of(5)), gather(Walks::new()));
    }
}
