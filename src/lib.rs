//! drctl brings a dead kubeadm control plane back on a fresh host, over SSH, from the latest etcd snapshot and the root CA.
//!
//! What is written by a person ([`inventory`], [`playbook`]) and what can be seen ([`snapshot`], [`pki`], the target's
//! facts) meet in [`check`]; what passes becomes a [`plan`]; the [`engine`] runs it step by step, each step an entry of
//! [`actions`], and writes every intent and outcome to the [`journal`] first. Everything that is told afterwards
//! ([`report`]) is a fold of that journal.
//!
//! Dependencies point one way: [`cli`] and [`face`], then [`check`] and [`engine`], then [`plan`] and [`report`], then
//! [`playbook`], then [`actions`], then [`restore_engines`], [`pki_set`] and [`sources`], then [`target`], then [`transport`]. The
//! leaves know nobody above them: [`inventory`], [`snapshot`], [`packing`], [`pki`], [`text`], [`event`], [`version`].

pub mod actions;
pub(crate) mod causes;
pub mod check;
pub mod cli;
pub mod document;
pub mod drill;
pub(crate) mod durable;
pub mod engine;
pub mod event;
pub mod face;
pub(crate) mod hex;
pub mod inventory;
pub mod journal;
pub mod kube;
pub mod packing;
pub mod pki;
pub mod pki_set;
pub mod plan;
pub mod playbook;
pub mod report;
pub mod restore_engines;
pub mod runs;
pub mod snapshot;
pub mod sources;
pub mod target;
pub mod text;
pub mod transport;
pub mod tunnel;
pub mod version;
