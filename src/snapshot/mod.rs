//! What an etcd snapshot file is and what it says, read by drctl itself: no etcd tool, no mapping into memory.
//!
//! A snapshot saved through etcd's API is a bbolt file with the SHA-256 of all its bytes behind it. In it, one record per
//! revision; in those, the Kubernetes objects. Each layer has its file here, from the outside in:
//!
//! - [`name`]: the time that the file's name states;
//! - [`whole`]: whether the bytes are those that the server sent;
//! - [`bolt`]: pages and buckets;
//! - [`keyspace`]: revisions, live keys, and what etcd knows of itself;
//! - [`kubernetes`]: the objects, as far as drctl needs them;
//! - [`origin`]: which cluster this is, gathered as [`Knowledge`];
//! - [`mod@verify`]: all that can be proved of a file by itself;
//! - [`diff`]: what came, went and changed between two.
//!
//! The files may be damaged or made by an enemy: everything here ends, in bounded memory, with a value or with an error
//! that says where. It blocks, so asynchronous callers put it on a thread of its own.

pub mod bolt;
mod claims;
pub mod diff;
pub mod keyspace;
pub mod kubernetes;
pub mod name;
pub mod object;
pub mod origin;
pub mod verify;
pub mod whole;

pub use claims::{ClaimedNode, Claims, taint_text};
pub use keyspace::{Keyspace, ReadError, Store, Totals, Walked};
pub use kubernetes::Cipher;
pub use name::{fits, time_in_name};
pub use origin::{ComponentConfiguration, Encrypted, Knowledge, Node};
pub use verify::{Verified, verify};
pub use whole::{ExamineError, Examined, Verdict, examine};
