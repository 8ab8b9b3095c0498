//! Placing one file: with its mode from the first byte, durably, at once.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::mode::Mode;
use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::engine::chain;
use crate::inventory::Secret;
use crate::target::{Keep, Owner, Payload, Place};
use crate::text::{Text, Values};

/// Places a file of the inventory's PKI, or one of the controller, on the target.
///
/// The file has its mode and owner before its first byte, is synced, and takes its place by a
/// rename; a secret is never wider than `mode`, not for a moment. What was there is kept.
///
/// ```toml
/// [[step]]
/// name = "ca-key"
/// action = "place_file"
/// pki = "ca.key"
/// to = "/etc/kubernetes/pki/ca.key"
/// mode = "0600"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceFile {
    /// A file of the inventory's `[pki]`, by kubeadm's name: `ca.crt`, `sa.key`, `etcd/ca.crt` …
    pki: Option<String>,
    /// Or a file of the controller.
    source: Option<Text>,
    /// Where it goes.
    to: Text,
    /// Its permission bits, in octal.
    mode: Mode,
    /// Its owner (default `root:root`).
    #[serde(default = "root")]
    owner: String,
}

fn root() -> String {
    "root:root".to_owned()
}

impl Declared for PlaceFile {
    const NAME: &'static str = "place_file";
    const OUTPUTS: &'static [&'static str] = &["path", "sha256"];
}

#[async_trait]
impl Action for PlaceFile {
    fn texts(&self) -> Vec<&Text> {
        self.source.iter().chain([&self.to]).collect()
    }

    fn takes_pki(&self) -> bool {
        self.pki.is_some()
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let what = match (&self.pki, &self.source) {
            (Some(name), _) => name.clone(),
            (None, Some(source)) => source.to_string(),
            (None, None) => "nothing".to_owned(),
        };
        let to = self.to.fill(cx.values).unwrap_or_else(|_| self.to.to_string());
        Description {
            summary: format!("place {what} at {to}, mode {}, owner {}", self.mode, self.owner),
            details: Vec::new(),
            touches: vec![to],
        }
    }

    fn set_aside(&self, cx: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Paths(vec![Keep::copied(cx.fill(&self.to)?)]))
    }

    async fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let wrong = |message: String| vec![Finding::error("place-file", message, "correct the step in the playbook")];
        if let Err(reason) = self.owner.parse::<Owner>() {
            return wrong(reason);
        }
        match (&self.pki, &self.source) {
            (Some(name), None) if cx.pki.get(name).is_none() && cx.pki.failed().is_none() => {
                wrong(format!("`{name}` is no file that the inventory's `[pki]` tells of"))
            }
            // Whether it can be read was judged with the rest of the PKI.
            (Some(_), None) => Vec::new(),
            (None, Some(source)) => match source.fill(cx.values) {
                Ok(path) if std::fs::File::open(&path).is_err() => {
                    wrong(format!("`{path}` cannot be read on the controller"))
                }
                // An earlier step may give the name its value.
                Ok(_) | Err(_) => Vec::new(),
            },
            _ => wrong("exactly one of `pki` and `source` must be given".to_owned()),
        }
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let content = self.content(cx).await?;
        let place = self.place(cx)?;
        let tell = |done, total| cx.tell.bytes(done, total);
        cx.target.place(Payload::Bytes(content.expose()), &place, &tell).await?;
        Ok(Outcome::Done(Values::new()))
    }

    async fn verify(&self, cx: &Context<'_>) -> Result<Verdict, ActionError> {
        let content = self.content(cx).await?;
        let place = self.place(cx)?;
        let expected = sha256(content.expose());
        match cx.target.digest(&place.to).await? {
            Some(found) if found == expected => {
                let outputs = [("path".to_owned(), place.to), ("sha256".to_owned(), digest_of(self, &expected))];
                Ok(Verdict::Took(outputs.into()))
            }
            Some(_) => Ok(Verdict::DidNot { reason: format!("`{}` holds something else", place.to) }),
            None => Ok(Verdict::DidNot { reason: format!("`{}` is not there", place.to) }),
        }
    }

    /// A file with the same bytes may have been there before, with another mode or owner, or behind a link.
    async fn settle(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::DidNot { reason: "whether the file was placed was not written down".to_owned() })
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }
}

impl PlaceFile {
    async fn content(&self, cx: &Context<'_>) -> Result<Secret, ActionError> {
        let local = |what: &str, reason: String| ActionError::Local { what: format!("read {what}"), reason };
        if let Some(name) = &self.pki {
            let untold = || cx.pki.failed().unwrap_or("the inventory does not tell of it").to_owned();
            let file = cx.pki.get(name).ok_or_else(|| local(name, untold()))?;
            return file.source.read().await.map_err(|error| local(name, chain(&error)));
        }
        let path = self.source.as_ref().map(|source| cx.fill(source)).transpose()?.unwrap_or_default();
        tokio::fs::read(&path).await.map(Secret::new).map_err(|error| local(&format!("`{path}`"), error.to_string()))
    }

    fn place(&self, cx: &Context<'_>) -> Result<Place, ActionError> {
        let owner =
            self.owner.parse().map_err(|reason| ActionError::Failed { what: "reading `owner`".to_owned(), reason })?;
        Ok(Place { to: cx.fill(&self.to)?, mode: self.mode.bits(), owner })
    }
}

/// The digest of a private file is no use to anybody but who guesses at it.
fn digest_of(action: &PlaceFile, sha256: &str) -> String {
    if action.mode.is_private() { "not told".to_owned() } else { sha256.to_owned() }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    crate::hex::hex(&sha2::Sha256::digest(bytes))
}
