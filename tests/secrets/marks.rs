//! What gives a secret away, and who holds it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Pieces of the secrets, in each form that they might be written in.
pub(crate) struct Marks(Vec<Vec<u8>>);

impl Marks {
    pub(crate) fn new(keys: &[PathBuf], password: &str) -> Self {
        let mut marks: Vec<Vec<u8>> = Vec::new();
        for key in keys {
            let pem = fs::read_to_string(key).expect("a key");
            let body: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
            // What comes first is the modulus, which the certificate tells everybody.
            for line in body.iter().skip(8) {
                marks.extend(line.as_bytes().chunks(24).filter(|piece| piece.len() == 24).map(<[u8]>::to_vec));
            }
            let der = STANDARD.decode(body.concat()).expect("base64");
            let pieces = der[400..].chunks(12).filter(|piece| piece.len() == 12);
            // `grep` reads marks line by line.
            marks.extend(pieces.filter(|piece| !piece.contains(&b'\n') && !piece.contains(&0)).map(<[u8]>::to_vec));
        }
        let mut encoded = String::new();
        for byte in password.bytes() {
            if byte.is_ascii_alphanumeric() {
                encoded.push(char::from(byte));
            } else {
                write!(encoded, "%{byte:02X}").expect("a string grows");
            }
        }
        let json = serde_json::to_string(password).expect("JSON");
        let forms = [
            password.to_owned(),
            password.replace('\'', "'\\''"),
            json.trim_matches('"').to_owned(),
            format!("{password:?}").trim_matches('"').to_owned(),
            encoded.replace("%20", "+"),
            encoded,
            STANDARD.encode(password),
            STANDARD.encode(format!("{password}\n")),
            // However it is quoted: no two forms differ here.
            "correct horse battery".to_owned(),
        ];
        marks.extend(forms.map(String::into_bytes));
        Self(marks)
    }

    /// The files, of all below these paths, that hold a mark.
    pub(crate) fn holders(&self, within: &[PathBuf]) -> Vec<PathBuf> {
        let list = tempfile::NamedTempFile::new().expect("a file");
        fs::write(list.path(), self.0.join(&b'\n')).expect("the marks");
        let found = Command::new("grep")
            .args(["-rlaF", "--devices=skip", "-f"])
            .arg(list.path())
            .arg("--")
            .args(within)
            .env("LC_ALL", "C")
            .output()
            .expect("grep");
        assert!(found.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&found.stderr));
        let mut files: Vec<PathBuf> =
            String::from_utf8_lossy(&found.stdout).lines().map(|line| Path::new(line).to_owned()).collect();
        files.sort();
        files
    }
}
