//! A file of the controller, of any size, on the target.

use std::path::PathBuf;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::mode::Mode;
use super::place_file::{check_place, owner};
use super::placing;
use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::target::{Keep, Payload, Place};
use crate::text::{Text, Values};

/// Uploads a file of any size; an interrupted transfer goes on from where it was, and the digest is compared.
///
/// What was there before is set aside. For keys use `place_file`, which never keeps a copy on its way.
///
/// ```toml
/// [[step]]
/// name = "images"
/// action = "upload"
/// source = "images.tar"
/// to = "/var/tmp/images.tar"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// The file on the controller.
    source: Text,
    /// Its path on the target.
    to: Text,
    /// Its permission bits (default `0644`).
    #[serde(default = "readable")]
    mode: Mode,
    /// Its owner, `user:group` (default `root:root`).
    owner: Option<String>,
}

fn readable() -> Mode {
    Mode(0o644)
}

impl Declared for Upload {
    const NAME: &'static str = "upload";
    const OUTPUTS: &'static [&'static str] = &["path"];
}

impl Upload {
    fn place(&self, cx: &Context<'_>) -> Result<(PathBuf, Place, Values), ActionError> {
        let to = cx.fill(&self.to)?;
        let outputs = Values::from([("path".to_owned(), to.clone())]);
        let place = Place { to, mode: self.mode.0, owner: owner(self.owner.as_deref())? };
        Ok((cx.fill(&self.source)?.into(), place, outputs))
    }
}

#[async_trait]
impl Action for Upload {
    fn texts(&self) -> Vec<&Text> {
        vec![&self.source, &self.to]
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let to = self.to.fill(cx.values).unwrap_or_else(|_| self.to.to_string());
        let summary = format!("upload `{}` as {to} ({})", self.source, self.mode);
        Description { summary, details: Vec::new(), touches: vec![to] }
    }

    fn set_aside(&self, cx: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Paths(vec![Keep::moved(cx.fill(&self.to)?)]))
    }

    async fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = check_place(self.owner.as_deref(), &self.to);
        if let Ok(path) = self.source.fill(cx.values)
            && !std::path::Path::new(&path).is_file()
        {
            let said = format!("`{path}` is not there on the controller");
            findings.push(Finding::error("upload-missing", said, "correct `source` in the playbook"));
        }
        findings
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let (source, place, outputs) = self.place(cx)?;
        placing::apply(cx, Payload::File(&source), &place).await?;
        Ok(Outcome::Done(outputs))
    }

    async fn verify(&self, cx: &Context<'_>) -> Result<Verdict, ActionError> {
        let (source, place, outputs) = self.place(cx)?;
        placing::verify(cx, Payload::File(&source), &place, outputs).await
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }
}
