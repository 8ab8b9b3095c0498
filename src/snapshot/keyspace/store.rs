//! What the store says of itself, in the small buckets beside the keys.

use prost::Message;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ReadError;
use super::record::Revision;
use crate::snapshot::bolt::{Bolt, Bucket, Direction, Reached};

const META: &str = "meta";
const CLUSTER: &str = "cluster";
const MEMBERS: &str = "members";
const ALARM: &str = "alarm";
const LEASE: &str = "lease";
/// The buckets whose records are read.
const KNOWN: [&str; 5] = [META, CLUSTER, MEMBERS, ALARM, LEASE];
/// More members, or alarms, than any cluster has.
const MOST: usize = 128;

/// What the store says of itself, apart from its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// How many leases there were.
    pub leases: u64,
}

/// A member of the etcd cluster as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// The database had reached its quota: the restored one refuses writes as well.
    NoSpace,
    /// The members' data differed.
    Corrupt,
    /// An alarm that drctl does not know.
    Other(i32),
}

#[derive(Clone, PartialEq, Eq, Message)]
struct AlarmMember {
    #[prost(int32, tag = "2")]
    alarm: i32,
}

impl Store {
    /// Walks all buckets but the keys'.
    pub(super) fn read(bolt: &Bolt, buckets: &[(Vec<u8>, Bucket)], reached: &mut Reached) -> Result<Self, ReadError> {
        let mut store = Self { used_bytes: bolt.meta().used(), ..Self::default() };
        for (name, bucket) in buckets {
            let name = KNOWN.iter().find(|known| known.as_bytes() == name).copied().unwrap_or_default();
            let mut cursor = bolt.walk(bucket, Direction::Forward, reached)?;
            while let Some(entry) = cursor.next()? {
                let place = entry.place;
                store.take(name, entry.key, entry.value).map_err(|reason| ReadError::Aside {
                    place,
                    bucket: name,
                    reason,
                })?;
            }
        }
        Ok(store)
    }

    /// The newest revision that a compaction names: records up to it may be gone.
    pub(super) fn newest_compaction(&self) -> i64 {
        self.compacted.max(self.compaction_asked)
    }

    fn take(&mut self, bucket: &str, key: &[u8], value: &[u8]) -> Result<(), String> {
        match bucket {
            META => self.meta(key, value)?,
            CLUSTER if key == b"clusterVersion" => self.cluster_version = Some(text(value)?),
            MEMBERS if self.members.len() < MOST => {
                self.members.push(serde_json::from_slice(value).map_err(|error| error.to_string())?);
            }
            ALARM if self.alarms.len() < MOST => {
                self.alarms.push(AlarmMember::decode(key).map_err(|error| error.to_string())?.kind());
            }
            LEASE => {
                LeaseRecord::decode(value).map_err(|error| error.to_string())?;
                self.leases += 1;
            }
            // Users, roles, removed members: their pages are walked, and that is all.
            _ => {}
        }
        Ok(())
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

/// A lease: its time to live starts anew after a restore.
#[derive(Clone, PartialEq, Eq, Message)]
struct LeaseRecord {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(int64, tag = "2")]
    time_to_live: i64,
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

fn text(value: &[u8]) -> Result<String, String> {
    std::str::from_utf8(value).map(str::to_owned).map_err(|error| error.to_string())
}
