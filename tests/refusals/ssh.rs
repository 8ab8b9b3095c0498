//! The way to the target: who it is, who we are, and becoming root.

use insta::assert_snapshot;

use crate::site::Site;
use crate::support::{ADDRESS, Lab};

#[test]
fn a_host_key_that_changed_is_unknown_or_is_not_the_pinned_one() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    let other = lab.host("other", "light", "10.77.0.11", &[]);
    let lines = std::fs::read_to_string(other.known_hosts()).expect("its keys").replace("10.77.0.11", ADDRESS);
    let trusted = format!("known_hosts = \"{}\"", host.known_hosts());
    let fit = site.target.clone();
    for (name, text) in [("changed", lines.as_str()), ("unknown", "")] {
        let file = lab.write(name, text);
        site.target = fit.replace(&trusted, &format!("known_hosts = \"{file}\""));
        match name {
            "changed" => assert_snapshot!(site.refusal(3), @""),
            _ => assert_snapshot!(site.refusal(3), @""),
        }
    }
    site.target = format!("{fit}host_key = \"{}\"\n", other.field("fingerprint"));
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn a_user_without_sudo() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.target = host.target("nosudo");
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn a_password_of_sudo_that_is_wrong_or_not_given() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.target = host.target("oppw");
    assert_snapshot!(site.refusal(3), @"");
    let password = lab.write("password", "wrong\n");
    site.target = format!("{}become = {{ method = \"sudo\", password = \"{password}\" }}\n", host.target("oppw"));
    assert_snapshot!(site.refusal(3), @"");
    site.target = site.target.replace("/password\"", "/no-such-file\"");
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn a_key_that_is_not_accepted_not_there_or_locked() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    let fit = site.target.clone();
    let key = lab.lab(&["key"]);
    site.target = fit.replace(&key, &lab.lab(&["key", "stranger"]));
    assert_snapshot!(site.refusal(3), @"");
    site.target = fit.replace(&key, "no/such/key");
    assert_snapshot!(site.refusal(3), @"");
    site.target = fit.replace(&key, &lab.lab(&["key", "encrypted"]));
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn nobody_at_the_address() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    let fit = site.target.clone();
    site.target = fit.replace(ADDRESS, "10.77.0.99");
    assert_snapshot!(site.refusal(3), @"");
    site.target = format!("{fit}port = 2222\n");
    assert_snapshot!(site.refusal(3), @"");
    site.target = fit.replace(ADDRESS, "no-such-host.invalid");
    assert_snapshot!(site.refusal(3), @"");
}
