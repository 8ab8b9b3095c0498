//! The API server as a client sees it, through a tunnel: only what proofs and waiting need.

mod client;
mod kubeconfig;
mod manifest;

pub use client::{ApiClient, ApiError, http_status, root_ca};
pub use kubeconfig::{Credentials, KubeconfigError};
pub use manifest::{MANIFEST, secure_port};
