//! The files of a set, one a line.

use jiff::Timestamp;
use serde::Serialize;

use crate::check::PkiContents;
use crate::cli::exit::Fault;
use crate::cli::say::say;
use crate::face::json;
use crate::inventory::{PkiFiles, Secret};
use crate::pki::{Certificate, PublicKey, public_key_of};

/// A file of the set.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Row {
    file: &'static str,
    found: bool,
    /// Whose certificate it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// Its last moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<Timestamp>,
    /// The certificate's fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// The digest of the public key: the same for a certificate and its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key_sha256: Option<String>,
}

pub(super) fn rows(files: &PkiFiles, contents: &PkiContents) -> Vec<Row> {
    let content = |name: &str| contents.iter().find(|(known, _)| known == name)?.1.as_ref().ok();
    PkiFiles::names()
        .map(|name| {
            let row = Row { file: name, found: files.get(name).is_some_and(|file| file.found), ..Row::default() };
            content(name).map_or_else(|| row.clone(), |content| filled(row.clone(), content))
        })
        .collect()
}

/// With what its content says.
fn filled(row: Row, content: &Secret) -> Row {
    let hex = |key: &PublicKey| Some(key.sha256().to_string());
    let first = |bytes: &[u8]| PublicKey::all_in(bytes).ok()?.into_iter().next();
    match row.file.rsplit_once('.') {
        Some((_, "crt")) => {
            let Some(own) = Certificate::all_in(content.expose()).ok().and_then(|all| all.into_iter().next()) else {
                return row;
            };
            let (sha256, public_key_sha256) = (Some(own.sha256.to_string()), hex(own.public_key()));
            Row { subject: Some(own.subject), not_after: Some(own.not_after), sha256, public_key_sha256, ..row }
        }
        Some((_, "key")) => Row { public_key_sha256: public_key_of(content).ok().as_ref().and_then(hex), ..row },
        Some((_, "pub")) => Row { public_key_sha256: first(content.expose()).as_ref().and_then(hex), ..row },
        _ => row,
    }
}

/// A table for people, a line of NDJSON for each file else.
pub(super) fn show(rows: &[Row], as_json: bool) -> Result<(), Fault> {
    if as_json {
        json::pki(rows);
        return Ok(());
    }
    say(&rows.iter().map(|row| line(row) + "\n").collect::<String>())
}

fn line(row: &Row) -> String {
    let state = if row.found { "found" } else { "-" };
    let until = row.not_after.map(|time| time.strftime("%Y-%m-%d").to_string()).unwrap_or_default();
    let key = row.public_key_sha256.as_deref().map(|sum| format!("key {}", &sum[..12])).unwrap_or_default();
    let subject = row.subject.as_deref().unwrap_or_default();
    format!("{:<22}  {state:<5}  {key:<16}  {until:<10}  {subject}", row.file).trim_end().to_owned()
}
