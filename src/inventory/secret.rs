//! Where a secret is, and the secret itself, which never prints.

use std::borrow::Cow;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use thiserror::Error;
use tokio::process::Command;

use super::prompt::Question;

/// How long a command may take to print a secret; a person may have to unlock what it asks.
const PATIENCE: Duration = Duration::from_mins(2);

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
    Prompt(Question),
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
    /// The command is at it for too long.
    #[error("the command `{program}` gave no secret within {} s, and was ended", limit.as_secs())]
    Slow {
        /// The program.
        program: String,
        /// How long it had.
        limit: Duration,
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
    /// Nobody said anything.
    #[error("`{question}` was not answered: {reason}")]
    Unanswered {
        /// What was asked.
        question: String,
        /// Why not.
        reason: String,
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
            Self::Command(words) => run(words, PATIENCE).await,
            Self::Prompt(question) => {
                let asked = question.clone();
                tokio::task::spawn_blocking(move || asked.ask()).await.unwrap_or_else(|error| {
                    Err(SecretError::Unanswered { question: question.text().to_owned(), reason: error.to_string() })
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

async fn run(words: &[String], limit: Duration) -> Result<Secret, SecretError> {
    let program = words.first().cloned().unwrap_or_default();
    let failed = |reason: String| SecretError::Command { program: program.clone(), reason };
    let running = Command::new(&program)
        .args(words.iter().skip(1))
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(limit, running)
        .await
        .map_err(|_| SecretError::Slow { program: program.clone(), limit })?
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() { Ok(Secret::new(output.stdout)) } else { Err(failed(output.status.to_string())) }
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
            "prompt" => SecretRef::Prompt(Question::new(map.next_value()?)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_never_ends_is_ended() {
        let words = ["sleep", "1000"].map(str::to_owned);
        let error = run(&words, Duration::from_millis(50)).await.unwrap_err().to_string();
        assert_eq!(error, "the command `sleep` gave no secret within 0 s, and was ended");
        let words = ["echo", "word"].map(str::to_owned);
        assert_eq!(run(&words, PATIENCE).await.unwrap().expose(), b"word\n");
    }
}
