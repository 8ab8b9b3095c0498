//! Where a secret is, and the secret itself, which never prints.

use std::borrow::Cow;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use thiserror::Error;
use tokio::process::Command;

/// Says where a secret is: `"path"`, `{ file = "path" }`, `{ env = "NAME" }`, `{ command = ["…"] }` or `{ prompt = "…" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// A file.
    File(PathBuf),
    /// An environment variable's name.
    Env(String),
    /// A command on the controller that prints it.
    Command(Vec<String>),
    /// A question to the person at the terminal.
    Prompt(String),
}

/// A secret's bytes. Shows nothing when printed, and is wiped when dropped.
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

/// A secret that could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// A file could not be read.
    #[error("could not read `{}`: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The variable is not set.
    #[error("the environment variable `{name}` is not set")]
    Env {
        /// The variable.
        name: String,
    },
    /// The command could not be run, or failed.
    #[error("the command `{program}` gave no secret: {reason}")]
    Command {
        /// The program; its arguments may say too much.
        program: String,
        /// Its exit status or the system's error.
        reason: String,
    },
    /// The place that it should be fetched from does not have it.
    #[error("it is not in {place}")]
    NotThere {
        /// The place.
        place: String,
    },
    /// There is nobody to ask.
    #[error("`{question}` cannot be asked without a terminal")]
    NoTerminal {
        /// What would have been asked.
        question: String,
    },
    /// A password or passphrase is one line.
    #[error("it has more than one line; a password is the first and only one")]
    Lines,
}

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the one place that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl SecretRef {
    /// The file, when it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Env(_) | Self::Command(_) | Self::Prompt(_) => None,
        }
    }

    /// The bytes as they are (keys, certificates).
    pub async fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::File(path) => tokio::fs::read(path)
                .await
                .map(Secret::new)
                .map_err(|error| SecretError::File { path: path.clone(), error }),
            Self::Env(name) => std::env::var_os(name)
                .map(|value| Secret::new(std::os::unix::ffi::OsStringExt::into_vec(value)))
                .ok_or_else(|| SecretError::Env { name: name.clone() }),
            Self::Command(words) => run(words).await,
            Self::Prompt(question) => {
                let question = question.clone();
                tokio::task::spawn_blocking(move || ask(&question)).await.unwrap_or_else(|_| {
                    Err(SecretError::NoTerminal { question: "the question was interrupted".to_owned() })
                })
            }
        }
    }

    /// The bytes without the line end that editors and commands add (passwords, passphrases).
    pub async fn read_line(&self) -> Result<Secret, SecretError> {
        let secret = self.read().await?;
        let bytes = secret.expose();
        let end = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = end.strip_suffix(b"\r").unwrap_or(end);
        // Who reads a line would take the rest for something else: sudo's would become the beginning of a script.
        if line.contains(&b'\n') {
            return Err(SecretError::Lines);
        }
        Ok(Secret::new(line.to_vec()))
    }

    /// Mode bits that let others read the file; `None` when it is private or no file.
    #[must_use]
    pub fn too_open(&self) -> Option<u32> {
        let mode = std::fs::metadata(self.path()?).ok()?.mode() & 0o777;
        (mode & 0o077 != 0).then_some(mode)
    }
}

async fn run(words: &[String]) -> Result<Secret, SecretError> {
    let program = words.first().cloned().unwrap_or_default();
    let failed = |reason: String| SecretError::Command { program: program.clone(), reason };
    let output = Command::new(&program)
        .args(words.iter().skip(1))
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() { Ok(Secret::new(output.stdout)) } else { Err(failed(output.status.to_string())) }
}

/// Asks on the controlling terminal, whatever standard input is; nothing is shown while typing.
fn ask(question: &str) -> Result<Secret, SecretError> {
    let none = |_| SecretError::NoTerminal { question: question.to_owned() };
    let tty = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(none)?;
    let before = rustix::termios::tcgetattr(&tty).map_err(|error| none(error.into()))?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(rustix::termios::LocalModes::ECHO);
    let restore = |tty: &std::fs::File| rustix::termios::tcsetattr(tty, rustix::termios::OptionalActions::Now, &before);
    rustix::termios::tcsetattr(&tty, rustix::termios::OptionalActions::Now, &quiet)
        .map_err(|error| none(error.into()))?;
    let answer = (|| {
        write!(&tty, "{question}: ")?;
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(&tty), &mut line)?;
        writeln!(&tty)?;
        Ok(line)
    })();
    restore(&tty).map_err(|error| none(error.into()))?;
    answer.map(|line: String| Secret::new(line.into_bytes())).map_err(none)
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

const KEYS: [&str; 4] = ["file", "env", "command", "prompt"];

/// A plain string is a path; a table has exactly one key that says what it is.
struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = SecretRef;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a path, or one of `{ file = … }`, `{ env = … }`, `{ command = […] }`, `{ prompt = … }`")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<SecretRef, E> {
        Ok(SecretRef::File(path.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let Some(key) = map.next_key::<String>()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        let found = match key.as_str() {
            "file" => SecretRef::File(map.next_value()?),
            "env" => SecretRef::Env(map.next_value()?),
            "command" => SecretRef::Command(map.next_value()?),
            "prompt" => SecretRef::Prompt(map.next_value()?),
            other => return Err(de::Error::unknown_field(other, &KEYS)),
        };
        match map.next_key::<String>()? {
            None => Ok(found),
            Some(_) => Err(de::Error::invalid_length(2, &self)),
        }
    }
}

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = |key: &str, value: serde_json::Value| serde_json::json!({"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": false});
        json_schema!({
            "description": "Where a secret is; never the secret itself.",
            "oneOf": [
                {"type": "string", "description": "A path."},
                one("file", serde_json::json!({"type": "string"})),
                one("env", serde_json::json!({"type": "string"})),
                one("command", serde_json::json!({"type": "array", "items": {"type": "string"}, "minItems": 1})),
                one("prompt", serde_json::json!({"type": "string"})),
            ],
        })
    }
}
