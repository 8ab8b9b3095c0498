//! `~/.aws/credentials` and `~/.aws/config`, which the AWS command line writes.

use std::collections::HashMap;
use std::path::PathBuf;

/// Variables that name credentials of another kind than a profile's.
const OTHERS: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// What the files say of one profile.
#[derive(Debug)]
pub(super) struct Profile {
    name: String,
    path: PathBuf,
    /// Why a file could not be read.
    unread: Option<String>,
    pub(super) credentials: Option<Credentials>,
    pub(super) region: Option<String>,
}

/// A pair of keys, and a token when they last for a while only.
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Profile {
    /// Reads the files that the variables name, else those of the home folder; files that are not there say nothing. One that
    /// cannot be read is an error where nothing else has credentials.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let said = |name: &str| variable(name).filter(|value| !value.is_empty());
        let name = said("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
        let home = PathBuf::from(said("HOME").unwrap_or_default()).join(".aws");
        let path = said("AWS_SHARED_CREDENTIALS_FILE").map_or_else(|| home.join("credentials"), PathBuf::from);
        let config = said("AWS_CONFIG_FILE").map_or_else(|| home.join("config"), PathBuf::from);
        let heading = if name == "default" { name.clone() } else { format!("profile {name}") };
        let (credentials, config) = (text(&path), text(&config));
        let unread = credentials.as_ref().err().or(config.as_ref().err()).cloned();
        let credentials = section(&credentials.unwrap_or_default(), &name);
        let config = section(&config.unwrap_or_default(), &heading);
        let found = |key: &str| credentials.get(key).or_else(|| config.get(key)).cloned();
        let pair = found("aws_access_key_id").zip(found("aws_secret_access_key"));
        let token = found("aws_session_token");
        let region = found("region");
        match unread {
            Some(reason) if pair.is_none() && OTHERS.iter().all(|other| said(other).is_none()) => Err(reason),
            unread => {
                let credentials = pair.map(|(id, secret)| Credentials { id, secret, token });
                Ok(Self { name, path, unread, credentials, region })
            }
        }
    }

    /// What was looked for, for messages.
    pub(super) fn sought(&self) -> String {
        let state = match (&self.credentials, &self.unread) {
            (Some(_), None) => "found",
            (None, None) => "not found",
            (_, Some(reason)) => &format!("not read: {reason}"),
        };
        format!("profile `{}` of `{}` ({state})", self.name, self.path.display())
    }
}

fn text(path: &PathBuf) -> Result<String, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("`{}`: {error}", path.display())),
    }
}

/// The keys of one section.
fn section(text: &str, wanted: &str) -> HashMap<String, String> {
    let mut inside = false;
    let mut keys = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.split_whitespace().eq(wanted.split_whitespace());
        } else if inside && let Some((key, value)) = line.split_once('=') {
            keys.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Profile {
        let of = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Profile::read(of).unwrap()
    }

    #[test]
    fn a_profile_has_its_keys_in_one_file_and_its_region_in_the_other() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".aws");
        std::fs::create_dir(&folder).unwrap();
        let credentials = "# keys\n[default]\naws_access_key_id=A\naws_secret_access_key = B=\n\n[ backup ]\n\
                           aws_access_key_id = C\naws_secret_access_key = D\naws_session_token = E\n";
        std::fs::write(folder.join("credentials"), credentials).unwrap();
        std::fs::write(folder.join("config"), "[default]\nregion = x\n[profile backup]\nregion = eu-west-1\n").unwrap();
        let home = home.path().to_str().unwrap();
        let default = read(&[("HOME", home)]);
        let keys = default.credentials.as_ref().unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.as_str(), &keys.token), ("A", "B=", &None));
        let backup = read(&[("HOME", home), ("AWS_PROFILE", "backup")]);
        let keys = backup.credentials.as_ref().unwrap();
        assert_eq!((keys.id.as_str(), keys.token.as_deref()), ("C", Some("E")));
        assert_eq!(backup.region.as_deref(), Some("eu-west-1"));
        assert!(read(&[("HOME", home), ("AWS_PROFILE", "none")]).sought().ends_with("(not found)"));
        assert!(!format!("{backup:?}").contains("\"D\""));
    }

    #[test]
    fn a_file_that_cannot_be_read_matters_where_nothing_else_has_credentials() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join(".aws/credentials")).unwrap();
        let home = home.path().to_str().unwrap();
        let alone = |name: &str| (name == "HOME").then(|| home.to_owned());
        assert!(Profile::read(alone).unwrap_err().contains(".aws/credentials`: "));
        let profile = read(&[("HOME", home), ("AWS_ACCESS_KEY_ID", "A")]);
        assert!(profile.credentials.is_none() && profile.sought().contains("(not read: "), "{}", profile.sought());
    }
}
