//! sudo passwords.

use crate::bed::Bed;
use crate::support::{ADDRESS, Lab};

#[test]
fn a_password_of_any_letters_is_the_password_and_nothing_else() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut bed = Bed::new(&lab, &host);
    bed.place("place", "/srv/ca.key");
    let target = host.target("oppw");
    let merged = host.field("merged");
    let mut try_with = |is: &str, given: &str| {
        std::fs::write(format!("{merged}/root/password"), format!("oppw:{is}\n")).expect("a file");
        host.sh("chpasswd </root/password && rm /root/password");
        let file = lab.write("password", given);
        bed.target = format!("{target}become = {{ method = \"sudo\", password = {{ file = \"{file}\" }} }}\n");
        bed.drctl(&["check"])
    };
    for password in
        ["a b'\"$(touch canary)`touch canary`;touch canary\\é", "-S", " blanks ", "drctl-ready-1", &"p".repeat(250)]
    {
        try_with(password, &format!("{password}\n")).expect(0);
    }
    let ran = try_with("good", "$(touch canary)").expect(3);
    assert!(ran.stderr.contains("no-root"), "{}", ran.stderr);
    // More than sudo reads: its rest must not become the script.
    let ran = try_with("good", &"touch canary;".repeat(300)).expect(3);
    assert!(ran.stderr.contains("no-root"), "{}", ran.stderr);
    let ran = try_with("good", "good\ntouch canary\n").expect(3);
    assert!(ran.stderr.contains("more than one line"), "{}", ran.stderr);
}
