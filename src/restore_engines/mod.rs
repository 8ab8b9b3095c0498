//! Which program turns a snapshot into a data directory.
