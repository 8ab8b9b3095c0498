//! Conditions of steps: what was read is written so that it is read as the same.
#![no_main]

use drctl::playbook::When;
use drctl::text::Values;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (text, value) = input;
    let Ok(when) = text.parse::<When>() else { return };
    let again: When = when.to_string().parse().expect("what was written can be read");
    assert_eq!(when, again);
    let without = Values::new();
    let with = Values::from([(when.name().to_owned(), value.to_owned())]);
    assert_eq!((when.holds(&without), when.holds(&with)), (again.holds(&without), again.holds(&with)));
});
