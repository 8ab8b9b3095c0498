//! Values, names and trees that are meant to do harm: nothing of them is executed, followed or overwritten, and what is
//! refused is refused in words.
#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod bed;
mod home;
mod kube;
mod links;
mod names;
mod snapshots;
mod sudo;
#[path = "../support/mod.rs"]
mod support;
