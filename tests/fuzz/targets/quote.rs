//! Any bytes as one word of the machine's own `sh`.
#![no_main]

use std::io::Write as _;
use std::process::{Command, Stdio};

use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    let script = format!("set -- {0} {0}; printf '%s.%s.%s.' \"$#\" \"$1\" {0}", drctl::target::quote(value));
    // On standard input, as scripts travel, and past the limit of one argument.
    let mut sh = Command::new("sh")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("sh can be run");
    sh.stdin.take().expect("its input").write_all(script.as_bytes()).expect("sh reads");
    let output = sh.wait_with_output().expect("sh ends");
    let word: Vec<u8> = value.iter().copied().filter(|byte| *byte != 0).collect();
    let expected = [b"2.".as_slice(), &word, b".", &word, b"."].concat();
    assert_eq!(output.stdout, expected, "{script:?}");
    assert!(output.status.success());
});
