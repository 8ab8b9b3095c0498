//! The API server as a client sees it, through a tunnel: only what proofs and waiting need.

mod client;
mod kubeconfig;
mod manifest;
mod probe;
#[cfg(test)]
pub(crate) mod stand_in;

/// What kubeadm has the API server listen on unless it is told otherwise.
pub const API_PORT: u16 = 6443;

pub use client::{ApiClient, ApiError, root_ca};
pub use kubeconfig::{Credentials, KubeconfigError};
pub use manifest::{MANIFEST, secure_port};
pub use probe::{asked_at, http_status};
