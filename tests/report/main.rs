//! Reports of drills and restores, in every form.

#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod browser;
mod forms;
mod made;
mod metrics;
mod shown;
mod signature;
