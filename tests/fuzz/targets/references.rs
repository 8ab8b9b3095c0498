//! `${names}` in a text: once read it can be filled, and nothing that a value holds is taken for a reference.
#![no_main]

use drctl::text::{Text, Values};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (text, value) = input;
    let Ok(read) = text.parse::<Text>() else { return };
    let names: Vec<String> = read.names().map(str::to_owned).collect();
    assert_eq!(read.fill(&Values::new()).is_ok(), names.is_empty(), "names without a value are told");
    let values: Values = names.iter().map(|name| (name.clone(), value.to_owned())).collect();
    let filled = read.fill(&values).expect("every name has a value");
    let plain = read.fill_with(&values, &|_| String::new()).expect("every name has a value");
    assert_eq!(filled.len(), plain.len() + names.len() * value.len());
    // What comes out, written as plain text, is read as plain text.
    let again: Text = filled.replace('$', "$$").parse().expect("plain text");
    assert_eq!(again.names().count(), 0);
    assert_eq!(again.fill(&Values::new()).expect("no names"), filled);
});
