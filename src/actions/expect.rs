//! Something that must be so in the restored cluster: a user's own proof.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::api::{self, Seen, admin_conf, failed, wait};
use super::{
    Action, ActionError, Context, Declared, Description, Finding, Loopback, Outcome, PlanContext, SetAside, Verdict,
};
use crate::kube::ApiClient;
use crate::target::quote;
use crate::text::{Text, Values};

/// Tries until a command on the target succeeds, or until an object of the API server is there and says what it should.
///
/// Must change nothing: it is tried again and again.
///
/// ```toml
/// [[step]]
/// name = "web-is-there"
/// action = "expect"
/// object = "/apis/apps/v1/namespaces/shop/deployments/web"
/// at = "/spec/replicas"
/// equals = "3"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// A command line for the target's `sh`; `KUBECONFIG` is the new administrator's.
    command: Option<Text>,
    /// The path of an object of the API server.
    object: Option<Text>,
    /// A place in that object, as a JSON pointer.
    at: Option<Text>,
    /// What must stand there; numbers and truths as JSON writes them.
    equals: Option<Text>,
    /// The new administrator's kubeconfig on the target (default kubeadm's).
    #[serde(default = "admin_conf")]
    kubeconfig: Text,
}

impl Declared for Expect {
    const NAME: &'static str = "expect";
    const OUTPUTS: &'static [&'static str] = &["seen"];
}

const ONE: &str = "exactly one of `command` and `object` must be given, and `at` and `equals` together with `object`";

impl Expect {
    fn is_sound(&self) -> bool {
        let places = self.at.is_some() == self.equals.is_some() && (self.at.is_none() || self.object.is_some());
        self.command.is_some() != self.object.is_some() && places
    }
}

#[async_trait]
impl Action for Expect {
    fn texts(&self) -> Vec<&Text> {
        let optional = [&self.command, &self.object, &self.at, &self.equals].into_iter().flatten();
        optional.chain([&self.kubeconfig]).collect()
    }

    fn tunnels_to(&self, cx: &PlanContext<'_>) -> Option<Loopback> {
        self.object.as_ref().map(|_| Loopback::port(cx.api_port()))
    }

    fn describe(&self, _: &PlanContext<'_>) -> Description {
        let summary = match (&self.command, &self.object, &self.at, &self.equals) {
            (Some(command), ..) => format!("expect that `{command}` succeeds"),
            (_, Some(object), Some(at), Some(equals)) => format!("expect `{equals}` at {at} of {object}"),
            (_, Some(object), ..) => format!("expect {object}"),
            _ => "expect".to_owned(),
        };
        Description { summary, ..Description::default() }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "looking changes nothing" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        if self.is_sound() {
            return Vec::new();
        }
        vec![Finding::error("expect-what", ONE, "correct the step in the playbook, or the `[[drill.check]]`")]
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let until = Instant::now() + cx.limit;
        let seen = if let Some(command) = &self.command {
            let line = cx.fill(command)?;
            let script = format!(
                "KUBECONFIG={}; export KUBECONFIG; sh -c {} 2>&1",
                quote(&cx.fill(&self.kubeconfig)?),
                quote(&line)
            );
            wait(until, || succeeds(cx, &script)).await?
        } else if let Some(object) = &self.object {
            let path = cx.fill(object)?;
            let place = match (&self.at, &self.equals) {
                (Some(at), Some(equals)) => Some((cx.fill(at)?, cx.fill(equals)?)),
                _ => None,
            };
            let (api, _) = api::open(cx, &self.kubeconfig, until).await?;
            wait(until, || says(&api, &path, place.as_ref())).await?
        } else {
            return Err(ActionError::Failed { what: "expecting".to_owned(), reason: ONE.to_owned() });
        };
        Ok(Outcome::Done(Values::from([("seen".to_owned(), seen)])))
    }

    async fn verify(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::Took(Values::new()))
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }

    fn is_proof(&self) -> bool {
        true
    }
}

async fn succeeds(cx: &Context<'_>, script: &str) -> Result<Seen<String>, ActionError> {
    let reply = cx.target.look(script).await?;
    let said = String::from_utf8_lossy(&reply.stdout);
    let last = said.lines().last().unwrap_or_default();
    Ok(match reply.status {
        0 => Seen::Yes("the command succeeded".to_owned()),
        status => Seen::NotYet(format!("exit status {status}: {last}")),
    })
}

async fn says(api: &ApiClient, path: &str, place: Option<&(String, String)>) -> Result<Seen<String>, ActionError> {
    let Some(object) = api.find(path).await.map_err(|error| failed("asking for the object", &error))? else {
        return Ok(Seen::NotYet(format!("the API server has no {path}")));
    };
    let Some((at, equals)) = place else { return Ok(Seen::Yes("it is there".to_owned())) };
    let found = match object.pointer(at) {
        None => return Ok(Seen::NotYet(format!("expected `{equals}` at {at} of {path}, found nothing"))),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    Ok(if found == *equals {
        Seen::Yes(format!("{at} is {found}"))
    } else {
        Seen::NotYet(format!("expected `{equals}` at {at} of {path}, found `{found}`"))
    })
}
