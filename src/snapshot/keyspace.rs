//! etcd's buckets: the revisions, the keys that live at the newest one, and what the store says of itself.
//!
//! The bucket `key` holds one record per revision, oldest first, and several per key until they are compacted away. So
//! it is walked **backwards**: the first record met of a key is its newest, and it lives unless it is a tombstone. Only
//! keys changed since the last compaction can be met again, so only those are remembered (as 64-bit keyed hashes, about
//! 20 bytes each); Kubernetes compacts every five minutes, which makes that a few thousand. In a store that was never
//! compacted it is every key ever written: a million of them takes some 20 MiB.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use prost::Message;
use serde::Serialize;
use thiserror::Error;

use super::bolt::{Bolt, BoltError, Bucket, Direction};

/// An etcd database, open for reading.
#[derive(Debug)]
pub struct Keyspace {
    bolt: Bolt,
    keys: Bucket,
    store: Store,
}

/// What the store says of itself, apart from its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Store {
    /// Bytes of the pages in use: the database's size without a trailer.
    pub used_bytes: u64,
    /// The last raft entry that is in the data.
    pub consistent_index: Option<u64>,
    /// The revision up to which old records were removed; 0 when never.
    pub compacted: i64,
    /// The revision up to which they are to be removed.
    pub compaction_asked: i64,
    /// The cluster's version, such as `3.4.0`: its minor is the restore tool's.
    pub cluster_version: Option<String>,
    /// The format's version; etcd 3.6 and later write it.
    pub storage_version: Option<String>,
    /// Who was in the cluster.
    pub members: Vec<Member>,
    /// Alarms that were raised and not yet disarmed.
    pub alarms: Vec<Alarm>,
}

/// A member of the etcd cluster as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Member {
    /// Its name; kubeadm uses the node's.
    #[serde(default)]
    pub name: String,
    /// Where other members reached it.
    #[serde(default, alias = "peerURLs")]
    pub peer_urls: Vec<String>,
    /// Where clients reached it.
    #[serde(default, alias = "clientURLs")]
    pub client_urls: Vec<String>,
}

/// Why a member refused writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// The database had reached its quota: the restored one refuses writes as well.
    NoSpace,
    /// The members' data differed.
    Corrupt,
    /// An alarm that drctl does not know.
    Other(i32),
}

/// What was counted on a walk over all records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
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

/// A key with its value, as etcd stores it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyValue {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The revision that created it.
    #[prost(int64, tag = "2")]
    pub create_revision: i64,
    /// The revision that changed it last.
    #[prost(int64, tag = "3")]
    pub mod_revision: i64,
    /// How often it was written since its creation.
    #[prost(int64, tag = "4")]
    pub version: i64,
    /// The value.
    #[prost(bytes = "vec", tag = "5")]
    pub value: Vec<u8>,
    /// The lease it is bound to; 0 for none.
    #[prost(int64, tag = "6")]
    pub lease: i64,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct AlarmMember {
    #[prost(int32, tag = "2")]
    alarm: i32,
}

/// A database that could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Its pages.
    #[error("could not read the database's pages")]
    Pages(#[from] BoltError),
    /// A bbolt file of another program.
    #[error("not etcd's database: it has no bucket `key`")]
    Foreign,
    /// A record beside the keys.
    #[error("page {page}: a record of the bucket `{bucket}` is damaged: {reason}")]
    Aside {
        /// The page that holds it.
        page: u64,
        /// Its bucket.
        bucket: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A record whose key is no revision.
    #[error("page {page}: a record's key of {length} bytes is no revision")]
    Revision {
        /// The page that holds it.
        page: u64,
        /// The key's length.
        length: usize,
    },
    /// A record whose value is no key-value pair.
    #[error("page {page}: the record of revision {main} is damaged")]
    Record {
        /// The page that holds it.
        page: u64,
        /// Its revision.
        main: i64,
        /// Why.
        source: prost::DecodeError,
    },
}

/// What a record's own key says: `main`, `_`, `sub`, and `t` when it is a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Revision {
    main: i64,
    tombstone: bool,
}

impl Keyspace {
    /// Opens a snapshot, or a `db` copied from a data folder.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let bolt = Bolt::open(path)?;
        let keys = bolt.bucket(b"key")?.ok_or(ReadError::Foreign)?;
        let store = Store::read(&bolt)?;
        Ok(Self { bolt, keys, store })
    }

    /// What the store says of itself.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Counts, without looking at values.
    pub fn totals(&self) -> Result<Totals, ReadError> {
        self.for_each_live(|_| {})
    }

    /// Shows each key that lives at the newest revision, the latest changed first.
    pub fn for_each_live(&self, mut visit: impl FnMut(&KeyValue)) -> Result<Totals, ReadError> {
        let mut totals =
            Totals { revision: self.store.compacted.max(self.store.compaction_asked), ..Totals::default() };
        let mut newer = Newer::default();
        let mut record = KeyValue::default();
        let mut cursor = self.bolt.walk(&self.keys, Direction::Backward)?;
        while let Some(entry) = cursor.next()? {
            let revision =
                Revision::parse(entry.key).ok_or(ReadError::Revision { page: entry.page, length: entry.key.len() })?;
            totals.records += 1;
            totals.revision = totals.revision.max(revision.main);
            record.clear();
            record.merge(entry.value).map_err(|source| ReadError::Record {
                page: entry.page,
                main: revision.main,
                source,
            })?;
            // A restore that bumps the revision leaves a record without a key.
            let again = record.key.is_empty() || newer.has(&record.key, revision.main > self.store.compacted);
            if !again && !revision.tombstone {
                totals.live_keys += 1;
                totals.live_bytes += (record.key.len() + record.value.len()) as u64;
                visit(&record);
            }
        }
        Ok(totals)
    }
}

/// The keys of which a newer record was met.
#[derive(Debug, Default)]
struct Newer {
    hasher: RandomState,
    keys: HashSet<u64>,
}

impl Newer {
    /// Whether the key was met before; remembers it when it may be met `again`.
    fn has(&mut self, key: &[u8], again: bool) -> bool {
        let hash = self.hasher.hash_one(key);
        if again { !self.keys.insert(hash) } else { self.keys.contains(&hash) }
    }
}

impl Revision {
    fn parse(key: &[u8]) -> Option<Self> {
        let (main, rest) = key.split_first_chunk::<8>()?;
        let rest = rest.strip_prefix(b"_")?;
        let (_sub, end) = rest.split_first_chunk::<8>()?;
        let tombstone = match end {
            [] => false,
            [b't'] => true,
            [_, ..] => return None,
        };
        Some(Self { main: i64::from_be_bytes(*main), tombstone })
    }
}

impl Store {
    fn read(bolt: &Bolt) -> Result<Self, ReadError> {
        let mut store = Self { used_bytes: bolt.meta().used(), ..Self::default() };
        each(bolt, "meta", |key, value| store.meta(key, value))?;
        each(bolt, "cluster", |key, value| {
            if key == b"clusterVersion" {
                store.cluster_version = Some(text(value)?);
            }
            Ok(())
        })?;
        each(bolt, "members", |_, value| {
            store.members.push(serde_json::from_slice(value).map_err(|error| error.to_string())?);
            Ok(())
        })?;
        each(bolt, "alarm", |key, _| {
            store.alarms.push(AlarmMember::decode(key).map_err(|error| error.to_string())?.kind());
            Ok(())
        })?;
        Ok(store)
    }

    fn meta(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let length = || format!("{} bytes long", value.len());
        let revision = || Revision::parse(value).map(|revision| revision.main).ok_or_else(length);
        match key {
            b"consistent_index" => {
                self.consistent_index = Some(u64::from_be_bytes(value.try_into().map_err(|_| length())?));
            }
            b"finishedCompactRev" => self.compacted = revision()?,
            b"scheduledCompactRev" => self.compaction_asked = revision()?,
            b"storageVersion" => self.storage_version = Some(text(value)?),
            _ => {}
        }
        Ok(())
    }
}

impl AlarmMember {
    fn kind(&self) -> Alarm {
        match self.alarm {
            1 => Alarm::NoSpace,
            2 => Alarm::Corrupt,
            other => Alarm::Other(other),
        }
    }
}

/// Shows each pair of a bucket that may be missing.
fn each(
    bolt: &Bolt,
    name: &'static str,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), String>,
) -> Result<(), ReadError> {
    let Some(bucket) = bolt.bucket(name.as_bytes())? else { return Ok(()) };
    let mut cursor = bolt.walk(&bucket, Direction::Forward)?;
    while let Some(entry) = cursor.next()? {
        visit(entry.key, entry.value).map_err(|reason| ReadError::Aside { page: entry.page, bucket: name, reason })?;
    }
    Ok(())
}

fn text(value: &[u8]) -> Result<String, String> {
    std::str::from_utf8(value).map(str::to_owned).map_err(|error| error.to_string())
}
