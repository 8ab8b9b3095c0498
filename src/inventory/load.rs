//! Reads an inventory: the types, then the rules, then the paths; all that is wrong is told at once.

use std::path::{Path, PathBuf};

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
    /// The file; what is relative in the text is relative to its folder.
    pub path: PathBuf,
}

/// Reads an inventory file.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let text = document::read_file("inventory", path)?;
    parse(path, &text)
}

/// Reads an inventory's text as if it stood in the file `path`, which need not exist.
pub fn parse(path: &Path, text: &str) -> Result<Loaded, LoadError> {
    let (mut document, root) = Document::parse("inventory", path, text);
    let (inventory, root) = document.read(root, &[], Inventory::deserialize);
    if let Some(inventory) = &inventory {
        rules::check(inventory, &root, &mut document);
    }
    let mut inventory = document.finish(inventory)?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    paths::resolve(&mut inventory, path.parent().unwrap_or(&path));
    Ok(Loaded { inventory, text: text.to_owned(), path })
}
