//! Reads an inventory: the types, then the rules, then the paths; all that is wrong is told at once.

use std::path::Path;

use serde::Deserialize as _;

use super::{Inventory, paths, rules};
use crate::document::{self, Document, LoadError};

/// An inventory, and the text it was read from, which a run freezes.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The inventory; its paths are absolute.
    pub inventory: Inventory,
    /// What the file said.
    pub text: String,
}

/// Reads an inventory file.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let text = document::read_file("inventory", path)?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let inventory = parse(&path.display().to_string(), &text, absolute.parent().unwrap_or(&absolute))?;
    Ok(Loaded { inventory, text })
}

/// Reads an inventory's text; `name` is what messages call it, and relative paths begin at `base`.
pub fn parse(name: &str, text: &str, base: &Path) -> Result<Inventory, LoadError> {
    let (mut document, root) = Document::parse("inventory", Path::new(name), text);
    let (inventory, root) = document.read(root, &[], Inventory::deserialize);
    if let Some(inventory) = &inventory {
        rules::check(inventory, &root, &mut document);
    }
    let mut inventory = document.finish(inventory)?;
    paths::resolve(&mut inventory, base);
    Ok(inventory)
}
