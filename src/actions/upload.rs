//! A large file of the controller, on the target: resumed where a lost link left it, verified by its digest.

use std::path::Path;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::mode::Mode;
use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::target::{Keep, Owner, Payload, Place};
use crate::text::{Text, Values};

/// Uploads a file of the controller; nothing is sent when the target already has the same bytes.
///
/// ```toml
/// [[step]]
/// name = "images"
/// action = "upload"
/// source = "/srv/images/etcd.tar"
/// to = "/root/etcd.tar"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Upload {
    /// A file of the controller.
    source: Text,
    /// Where it goes.
    to: Text,
    /// Its permission bits, in octal (default `"0600"`).
    mode: Option<Mode>,
}

impl Declared for Upload {
    const NAME: &'static str = "upload";
    const OUTPUTS: &'static [&'static str] = &["path"];
}

#[async_trait]
impl Action for Upload {
    fn texts(&self) -> Vec<&Text> {
        vec![&self.source, &self.to]
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let to = self.to.fill(cx.values).unwrap_or_else(|_| self.to.to_string());
        Description { summary: format!("upload {} to {to}", self.source), details: Vec::new(), touches: vec![to] }
    }

    fn set_aside(&self, cx: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Paths(vec![Keep::copied(cx.fill(&self.to)?)]))
    }

    async fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        match self.source.fill(cx.values) {
            Ok(path) if std::fs::File::open(&path).is_err() => vec![Finding::error(
                "upload",
                format!("`{path}` cannot be read on the controller"),
                "correct `source` in the playbook, or give access to the file",
            )],
            // An earlier step may give the name its value.
            Ok(_) | Err(_) => Vec::new(),
        }
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let (source, to) = (cx.fill(&self.source)?, cx.fill(&self.to)?);
        let place = Place { to: to.clone(), mode: self.mode.map_or(0o600, Mode::bits), owner: Owner::root() };
        let tell = |done, total| cx.tell.bytes(done, total);
        // What it answers was read back from the target and compared by digest.
        cx.target.place(Payload::File(Path::new(&source)), &place, &tell).await?;
        Ok(Outcome::Done([("path".to_owned(), to)].into()))
    }

    async fn verify(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::Took(Values::new()))
    }

    /// Uploading goes on where it was left, so what was not written down is begun again.
    async fn settle(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::DidNot { reason: "the upload was not finished".to_owned() })
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }
}
