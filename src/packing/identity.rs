//! The identities that open age files: from a file that only its owner may read, or wherever the inventory says.

use tokio::runtime::Handle;

use super::PackingError;
use crate::inventory::SecretRef;

/// What opens an age file.
pub type Identity = Box<dyn age::Identity>;

/// Identities that are read when the first age file is met, and not before: a person may have to be asked for them.
pub struct Identities<'a> {
    from: Box<dyn Fn() -> Result<Vec<Identity>, PackingError> + Send + Sync + 'a>,
}

impl std::fmt::Debug for Identities<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identities(…)")
    }
}

impl<'a> Identities<'a> {
    /// Those that `from` answers.
    pub fn new(from: impl Fn() -> Result<Vec<Identity>, PackingError> + Send + Sync + 'a) -> Self {
        Self { from: Box::new(from) }
    }

    /// Those of `[age] identity`, read by a thread that may wait.
    #[must_use]
    pub fn of(identity: Option<SecretRef>, runtime: Handle) -> Identities<'static> {
        Identities::new(move || {
            let secret = identity.as_ref().ok_or(PackingError::NoIdentity)?;
            runtime.block_on(read(secret))
        })
    }

    pub(super) fn all(&self) -> Result<Vec<Identity>, PackingError> {
        (self.from)()
    }
}

/// Reads identities, as `age-keygen` writes them. A file that others can read is refused, as SSH refuses its keys.
pub async fn read(secret: &SecretRef) -> Result<Vec<Identity>, PackingError> {
    if let (Some(mode), Some(path)) = (secret.too_open(), secret.path()) {
        let path = path.display();
        return Err(PackingError::Identity(format!(
            "`{path}` can be read by others (mode {mode:04o}), so it is not used: `chmod 600 {path}`"
        )));
    }
    let content = secret.read().await?;
    let unread = |reason: String| PackingError::Identity(reason);
    let file = age::IdentityFile::from_buffer(content.expose()).map_err(|error| unread(error.to_string()))?;
    let identities = file.into_identities().map_err(|error| unread(error.to_string()))?;
    if identities.is_empty() {
        return Err(unread("no line `AGE-SECRET-KEY-1…` in it".to_owned()));
    }
    Ok(identities)
}
