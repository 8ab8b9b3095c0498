//! One record of the bucket `key`: a revision, and the key that it changed.

use prost::Message;

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

/// What a record's own key says: `main`, `_`, `sub`, and `t` when it is a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revision {
    pub(super) main: i64,
    pub(super) tombstone: bool,
}

impl Revision {
    pub(super) fn parse(key: &[u8]) -> Option<Self> {
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
