//! Every refusal as a person sees it: what drctl says, its exit code, and a target that is byte for byte as before.
//!
//! Each test has a real host of its own, which is fit but for the one thing that the test is about: the first test
//! proves that, so no refusal here has another reason.

#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod clusters;
mod host;
mod kubeadm;
mod pki;
mod site;
mod snapshots;
mod ssh;
#[path = "../support/mod.rs"]
mod support;
mod words;
