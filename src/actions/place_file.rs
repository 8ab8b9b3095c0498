//! A file of the cluster's PKI, or any small one, placed with its mode and owner.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::mode::Mode;
use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use super::placing;
use crate::inventory::{Secret, SecretRef};
use crate::target::{Keep, Owner, Payload, Place};
use crate::text::{Text, Values};

/// Places a file: made with its final mode before its first byte, flushed to disk, renamed into place.
///
/// Its bytes are those of a file of the certificate authorities (`pki`, by kubeadm's name) or of a file on the
/// controller (`source`). What was there before is set aside.
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
pub struct PlaceFile {
    /// A file of the certificate authorities, by kubeadm's name: `ca.crt`, `etcd/ca.key`.
    pki: Option<String>,
    /// A file on the controller.
    source: Option<Text>,
    /// Its path on the target.
    to: Text,
    /// Its permission bits.
    mode: Mode,
    /// Its owner, `user:group` (default `root:root`).
    owner: Option<String>,
}

impl Declared for PlaceFile {
    const NAME: &'static str = "place_file";
    const OUTPUTS: &'static [&'static str] = &["path"];
}

impl PlaceFile {
    fn label(&self) -> String {
        match (&self.pki, &self.source) {
            (Some(pki), _) => pki.clone(),
            (None, Some(source)) => format!("`{source}`"),
            (None, None) => "nothing".to_owned(),
        }
    }

    fn place(&self, cx: &Context<'_>) -> Result<Place, ActionError> {
        Ok(Place { to: cx.fill(&self.to)?, mode: self.mode.0, owner: owner(self.owner.as_deref())? })
    }

    async fn read(&self, cx: &Context<'_>) -> Result<Secret, ActionError> {
        let what = || format!("read {}", self.label());
        let from = match (&self.pki, &self.source) {
            (Some(name), None) => match cx.pki.get(name) {
                Some(file) => file.source.clone(),
                None => return Err(ActionError::Local { what: what(), reason: NOT_NAMED.to_owned() }),
            },
            (None, Some(source)) => SecretRef::File(cx.fill(source)?.into()),
            _ => return Err(ActionError::Local { what: what(), reason: ONE.to_owned() }),
        };
        from.read().await.map_err(|error| ActionError::Local { what: what(), reason: with_cause(&error) })
    }

    fn outputs(place: &Place) -> Values {
        Values::from([("path".to_owned(), place.to.clone())])
    }
}

const ONE: &str = "exactly one of `pki` and `source` must be given";
const NOT_NAMED: &str = "the inventory does not say where it is";

/// An error and its cause, on one line.
fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// The owner that a step names.
pub(super) fn owner(named: Option<&str>) -> Result<Owner, ActionError> {
    named.map_or(Ok(Owner::root()), |name| {
        name.parse().map_err(|reason| ActionError::Failed { what: "reading the owner".to_owned(), reason })
    })
}

/// What is wrong with an owner or a path, before anything is touched.
pub(super) fn check_place(named: Option<&str>, to: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = owner(named) {
        findings.push(Finding::error("place-owner", error.to_string(), "write for example `root:root`"));
    }
    let shown = to.to_string();
    if !shown.starts_with(['/', '$']) {
        findings.push(Finding::error("place-path", format!("`{shown}` is not absolute"), "write the whole path"));
    }
    findings
}

#[async_trait]
impl Action for PlaceFile {
    fn texts(&self) -> Vec<&Text> {
        self.source.iter().chain([&self.to]).collect()
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let to = self.to.fill(cx.values).unwrap_or_else(|_| self.to.to_string());
        let owner = self.owner.as_deref().unwrap_or("root:root");
        let summary = format!("place {} as {to} ({}, {owner})", self.label(), self.mode);
        Description { summary, details: Vec::new(), touches: vec![to] }
    }

    fn set_aside(&self, cx: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Paths(vec![Keep::moved(cx.fill(&self.to)?)]))
    }

    async fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = check_place(self.owner.as_deref(), &self.to);
        let help = "correct the step in the playbook, or the inventory's `[pki]`";
        match (&self.pki, &self.source) {
            (Some(name), None) => match cx.pki.get(name) {
                Some(file) if file.found => {
                    if file.private && self.mode.0 & 0o077 != 0 {
                        let said = format!("mode {} lets others than root read {name}", self.mode);
                        findings.push(Finding::error("place-key-mode", said, "write `mode = \"0600\"`"));
                    }
                }
                Some(_) => findings.push(Finding::error("place-missing", format!("{name} is not there"), help)),
                None => findings.push(Finding::error("place-missing", format!("{name}: {NOT_NAMED}"), help)),
            },
            (None, Some(source)) => {
                if let Ok(path) = source.fill(cx.values)
                    && !std::path::Path::new(&path).is_file()
                {
                    findings.push(Finding::error("place-missing", format!("`{path}` is not there on the controller"), help));
                }
            }
            _ => findings.push(Finding::error("place-what", ONE, "correct the step in the playbook")),
        }
        findings
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let place = self.place(cx)?;
        let secret = self.read(cx).await?;
        placing::apply(cx, Payload::Bytes(secret.expose()), &place).await?;
        Ok(Outcome::Done(Self::outputs(&place)))
    }

    async fn verify(&self, cx: &Context<'_>) -> Result<Verdict, ActionError> {
        let place = self.place(cx)?;
        let secret = self.read(cx).await?;
        placing::verify(cx, Payload::Bytes(secret.expose()), &place, Self::outputs(&place)).await
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }
}
