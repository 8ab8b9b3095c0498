//! A store's errors for people: what was refused, and which credentials were looked for.

use object_store::Error;

use super::ObjectStore;

/// Where credentials for S3 come from, in the order of the documentation.
pub(super) const AMAZON: &[&str] =
    &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE"];
/// Those for Google Cloud Storage.
pub(super) const GOOGLE: &[&str] =
    &["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_BEARER_TOKEN"];
/// Those for Azure Blob Storage.
pub(super) const AZURE: &[&str] = &[
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
];

/// Which variables are set; never what they hold.
pub(super) fn sought(names: &[&str]) -> String {
    let state = |name: &&str| if std::env::var_os(name).is_some() { "set" } else { "not set" };
    names.iter().map(|name| format!("`{name}` ({})", state(name))).collect::<Vec<_>>().join(", ")
}

/// A web server has no variables of its own.
pub(super) fn of_http(keys: &ObjectStore) -> String {
    let state = if keys.authorization.is_some() { "set" } else { "not set" };
    format!("`authorization` of this source ({state})")
}

/// What happened, in one line, without what is secret in a URL or a header.
pub(super) fn explain(error: &Error, sought: &str) -> String {
    let said = summary(&error.to_string());
    let credentials = |what: &str| format!("{what}; looked for {sought}: {said}");
    match refusal(error) {
        Some(Refusal::Denied) => credentials("the credentials were refused, or do not allow this"),
        Some(Refusal::Unknown) => credentials("the server asks for credentials, or refused those that it got"),
        Some(Refusal::Absent) => format!("not there; see the bucket's name and the path: {said}"),
        None if asks_for_credentials(&said) && !sought.is_empty() => credentials("no credentials could be had"),
        None => said,
    }
}

/// What a server said no with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 403.
    Denied,
    /// 401.
    Unknown,
    /// 404.
    Absent,
}

/// A listing's errors have no kind of their own: only their text holds the status.
pub(super) fn refusal(error: &Error) -> Option<Refusal> {
    let says = |status: &str| error.to_string().contains(&format!("status code: {status}"));
    match error {
        Error::PermissionDenied { .. } => Some(Refusal::Denied),
        Error::Unauthenticated { .. } => Some(Refusal::Unknown),
        Error::NotFound { .. } => Some(Refusal::Absent),
        Error::Generic { .. } if says("403") => Some(Refusal::Denied),
        Error::Generic { .. } if says("401") => Some(Refusal::Unknown),
        Error::Generic { .. } if says("404") => Some(Refusal::Absent),
        _ => None,
    }
}

/// Without credentials a client asks the machine it runs on, which is none of the provider's when nobody answers.
fn asks_for_credentials(said: &str) -> bool {
    ["169.254.169.254", "169.254.170.2", "metadata.google.internal", "metadata/identity", "MissingCredentials"]
        .iter()
        .any(|sign| said.contains(sign))
}

/// One line; of an XML answer its code and message only.
fn summary(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let between = |open: &str, close: &str| {
        let rest = &line[line.find(open)? + open.len()..];
        rest.find(close).map(|end| rest[..end].to_owned())
    };
    match (between("<Code>", "</Code>"), between("<Message>", "</Message>")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        _ => line.chars().take(400).collect(),
    }
}
