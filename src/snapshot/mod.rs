//! What an etcd snapshot file is and what it says.
