//! Reports of drills and restores, in every form.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests panic to say what went wrong")]

mod made;

#[test]
fn look() {
    std::fs::create_dir_all("/tmp/ev/out").unwrap();
    std::fs::write("/tmp/ev/out/passed.html", drctl::report::html(&made::passed(26))).unwrap();
}
