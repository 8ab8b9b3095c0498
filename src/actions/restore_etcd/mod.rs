//! The snapshot becomes etcd's data folder.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::command::end_in_words;
use super::control_plane::Node;
use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::inventory::Inventory;
use crate::restore_engines::{Choice, ENGINES, Restore, choose};
use crate::target::{APPLY, Facts, Job, Keep, Owner, PathKind, Payload, Place, quote};
use crate::text::{Text, Values};

/// Restores the snapshot into etcd's data folder, as the only member of a new cluster, under the name and peer URL
/// that kubeadm will use.
///
/// It is restored into a new folder on the same file system; its log and snapshot must be there; then it is renamed
/// into place. Existing data is set aside, never deleted. Where the program can, the revision is raised so that
/// watchers do not go back in time.
///
/// ```toml
/// [[step]]
/// name = "restore-etcd"
/// action = "restore_etcd"
/// snapshot = "${step.fetch-snapshot.path}"
/// timeout = "1h"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestoreEtcd {
    /// The snapshot on the target: `${step.<name>.path}` of the step that fetched it.
    snapshot: Text,
    /// etcd's data folder; may be a mount point (default `/var/lib/etcd`).
    data_dir: Option<Text>,
    /// The member's name (default: the inventory's node name, else the target's host name).
    name: Option<Text>,
    /// The member's peer URL (default: the advertised address, port 2380).
    peer_url: Option<Text>,
    /// The restore engine: `etcdutl`, `etcdctl`, `docker`, `containerd`, `podman` or `uploaded` (default: the first that
    /// works, rather one of the snapshot's minor version).
    engine: Option<String>,
    /// By how much the revision is raised (default 1000000000; 0: not at all).
    #[serde(default = "a_billion")]
    bump_revision: u64,
}

fn a_billion() -> u64 {
    1_000_000_000
}

impl Declared for RestoreEtcd {
    const NAME: &'static str = "restore_etcd";
    const OUTPUTS: &'static [&'static str] = &["data_dir", "engine"];
}

/// Where kubeadm keeps etcd's data.
const DATA_DIR: &str = "/var/lib/etcd";

/// The folder itself, when the path is a link to it.
fn followed(facts: &Facts, path: String) -> String {
    match facts.paths.get(&path) {
        Some(state) if state.kind == PathKind::Symlink => state.resolved.clone().unwrap_or(path),
        _ => path,
    }
}

impl RestoreEtcd {
    fn data_dir(&self, cx: &Context<'_>) -> Result<String, ActionError> {
        let path = self.data_dir.as_ref().map_or(Ok(DATA_DIR.to_owned()), |text| cx.fill(text))?;
        Ok(followed(cx.facts, path))
    }

    /// Links are followed where they are looked for before the run; another is not silently replaced by a folder.
    async fn link(&self, cx: &PlanContext<'_>) -> Option<Finding> {
        let (target, facts) = (cx.target?, cx.facts?);
        let data = self.data_dir.as_ref()?.fill(cx.values).ok()?;
        if facts.paths.contains_key(&data) {
            return None;
        }
        let script = format!("[ ! -L {0} ] || readlink -m -- {0}", quote(&data));
        let leads = target.ask("look at the data folder", &script).await.ok()?;
        (!leads.is_empty()).then(|| {
            Finding::error(
                "data-dir-link",
                format!("`data_dir` is {data}, a symbolic link to {}", leads.trim_end()),
                "write the folder that it leads to: the link would be replaced",
            )
        })
    }

    fn choice(&self, facts: &Facts, inventory: &Inventory, etcd: Option<&str>) -> Choice {
        choose(self.engine.as_deref().filter(|name| *name != "auto"), facts, inventory, etcd)
    }

    /// The whole job: the program, what is asked of its result, the rename.
    async fn job(&self, cx: &Context<'_>, choice: &Choice) -> Result<String, ActionError> {
        let failed = |reason: String| ActionError::Failed { what: "restoring etcd".to_owned(), reason };
        let Some((engine, usable)) = &choice.taken else {
            return Err(failed(choice.against().join("; ")));
        };
        let data = self.data_dir(cx)?;
        let mounted = cx.target.look(&format!("mountpoint -q -- {}", quote(&data))).await?.status == 0;
        let stage = if mounted { format!("{data}/{}", stage_name(cx)) } else { stage_beside(cx, &data) };
        let uploaded = uploaded(cx);
        if engine.name() == "uploaded" {
            let place = Place { to: uploaded.clone(), mode: 0o700, owner: Owner::root() };
            let program = std::path::Path::new(&usable.program);
            cx.target.place(Payload::File(program), &place, &|done, total| cx.tell.bytes(done, total)).await?;
        }
        let (name, peer_url) = self.member(cx)?;
        let restore = Restore {
            snapshot: &cx.fill(&self.snapshot)?,
            stage: &stage,
            name: &name,
            peer_url: &peer_url,
            token: &format!("drctl-{}", cx.run),
            bump: (self.bump_revision > 0).then_some(self.bump_revision),
            uploaded: &uploaded,
            container: &format!("drctl-{}-{}", container_word(cx.run), cx.attempt),
        };
        let command = engine.command(usable, &restore);
        Ok(format!(
            "data={}\nstage={}\nmounted={}\nmarker={}\nrestore() {{\n{command}\n}}\n{}",
            quote(&data),
            quote(&stage),
            i32::from(mounted),
            quote(marker(cx)),
            include_str!("restore.sh")
        ))
    }

    /// The member's name and peer URL.
    fn member(&self, cx: &Context<'_>) -> Result<(String, String), ActionError> {
        let node = Node::of(cx.inventory, cx.facts);
        let unknown = || ActionError::Failed {
            what: "restoring etcd".to_owned(),
            reason: "the target has no address; set `advertise_address` in the inventory".to_owned(),
        };
        let given = |text: &Option<Text>| text.as_ref().map(|text| cx.fill(text)).transpose();
        let name = given(&self.name)?.or_else(|| node.as_ref().map(|node| node.name.clone()));
        let url = given(&self.peer_url)?.or_else(|| node.as_ref().map(Node::peer_url));
        Ok((name.ok_or_else(unknown)?, url.ok_or_else(unknown)?))
    }

    fn outputs(&self, cx: &Context<'_>, choice: &Choice) -> Result<Values, ActionError> {
        let engine = choice.taken.as_ref().map_or("none", |(engine, _)| engine.name());
        Ok([("data_dir", self.data_dir(cx)?), ("engine", engine.to_owned())].map(|(n, v)| (n.to_owned(), v)).into())
    }
}

fn stage_name(cx: &Context<'_>) -> String {
    let beside = cx.target.new_beside("/restore");
    beside.trim_start_matches('/').to_owned()
}

fn stage_beside(cx: &Context<'_>, data: &str) -> String {
    cx.target.new_beside(data)
}

fn marker(cx: &Context<'_>) -> String {
    format!("{}/restored", cx.target.step_folder(cx.step))
}

fn uploaded(cx: &Context<'_>) -> String {
    format!("{}/etcdutl", cx.target.step_folder(cx.step))
}

fn container_word(run: &str) -> String {
    run.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect()
}

#[async_trait]
impl Action for RestoreEtcd {
    fn texts(&self) -> Vec<&Text> {
        let optional = [&self.data_dir, &self.name, &self.peer_url];
        optional.into_iter().flatten().chain([&self.snapshot]).collect()
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let text =
            |text: &Option<Text>| text.as_ref().map(|text| text.fill(cx.values).unwrap_or_else(|_| text.to_string()));
        let data = text(&self.data_dir).unwrap_or_else(|| DATA_DIR.to_owned());
        let mut details = Vec::new();
        let mut engine = "the first restore engine that works".to_owned();
        if let Some(facts) = cx.facts {
            let etcd = cx.snapshot.and_then(|snapshot| snapshot.claims.etcd_version.as_deref());
            let choice = self.choice(facts, cx.inventory, etcd);
            engine = choice.in_words();
            details.extend(choice.against());
            let node = Node::planned(cx);
            let name = text(&self.name).or_else(|| node.as_ref().map(|node| node.name.clone()));
            let url = text(&self.peer_url).or_else(|| node.as_ref().map(Node::peer_url));
            if let (Some(name), Some(url)) = (name, url) {
                details.push(format!("as member {name} at {url}"));
            }
            if facts.paths.get(&data).is_some_and(|state| !state.empty) {
                details.push(format!("{data} is not empty: what is there is set aside"));
            }
            if !choice.taken.as_ref().is_some_and(|(_, usable)| usable.bumps) && self.bump_revision > 0 {
                details
                    .push("watchers may go back in time: the program may be too old to raise the revision".to_owned());
            }
        }
        Description { summary: format!("restore the snapshot into {data} with {engine}"), details, touches: vec![data] }
    }

    fn set_aside(&self, cx: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Paths(vec![Keep::moved(self.data_dir(cx)?)]))
    }

    async fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        if let Some(name) = self.engine.as_deref()
            && name != "auto"
            && !ENGINES.iter().any(|engine| engine.name() == name)
        {
            let names: Vec<&str> = ENGINES.iter().map(|engine| engine.name()).collect();
            let help = format!("write `auto`, or one of {}", names.join(", "));
            return vec![Finding::error("restore-engine", format!("there is no restore engine `{name}`"), help)];
        }
        let Some(facts) = cx.facts else { return Vec::new() };
        let etcd = cx.snapshot.and_then(|snapshot| snapshot.claims.etcd_version.as_deref());
        let choice = self.choice(facts, cx.inventory, etcd);
        let said = choice.in_words();
        let engine = match (&choice.taken, choice.same_minor) {
            (None, _) => Finding::error(
                "restore-engine",
                format!("no program on the target restores a snapshot\n  {}", choice.against().join("\n  ")),
                "install etcdutl or etcdctl on the target, load an etcd image there, or name an `etcdutl` in the inventory",
            ),
            (Some(_), Some(false)) => Finding::warning(
                "restore-engine-version",
                format!("{said} is not of etcd {}, which the snapshot is from", etcd.unwrap_or("unknown")),
                "bring a tool of the same minor version to the target",
            ),
            (Some(_), _) => Finding::ok("restore-engine", said),
        };
        self.link(cx).await.into_iter().chain([engine]).collect()
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let choice = self.choice(cx.facts, cx.inventory, cx.snapshot.claims.etcd_version.as_deref());
        let command = self.job(cx, &choice).await?;
        let job =
            Job { step: cx.step, attempt: cx.attempt, part: APPLY, command: &command, limit: cx.limit, again: false };
        let end = cx.target.job(job, &|line| cx.tell.output(line), cx.stop).await?;
        end_in_words(cx, &format!("restoring etcd with {}", choice.in_words()), end)?;
        Ok(Outcome::Done(self.outputs(cx, &choice)?))
    }

    async fn verify(&self, cx: &Context<'_>) -> Result<Verdict, ActionError> {
        let choice = self.choice(cx.facts, cx.inventory, cx.snapshot.claims.etcd_version.as_deref());
        let (data, marker) = (quote(self.data_dir(cx)?), quote(marker(cx)));
        let script = format!("data={data}\nmarker={marker}\n{}", include_str!("look.sh"));
        match cx.target.ask("look at the restored data", &script).await?.trim() {
            "whole" => Ok(Verdict::Took(self.outputs(cx, &choice)?)),
            reason => Ok(Verdict::DidNot { reason: reason.to_owned() }),
        }
    }

    async fn undo(&self, cx: &Context<'_>) -> Result<(), ActionError> {
        let data = self.data_dir(cx)?;
        let left = [stage_beside(cx, &data), format!("{data}/{}", stage_name(cx)), marker(cx), uploaded(cx)];
        let words: Vec<String> = left.iter().map(quote).collect();
        cx.target.change("remove what a restore left", &format!("rm -rf -- {}", words.join(" "))).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
