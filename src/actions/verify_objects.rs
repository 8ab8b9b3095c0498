//! Proof that the API server serves the snapshot's objects: the same ones, by UID, not others of the same name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::api::{self, admin_conf, failed, text_at};
use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::engine::chain;
use crate::kube::ApiClient;
use crate::snapshot::kubernetes::uid;
use crate::snapshot::object::{Object, PREFIX};
use crate::snapshot::{Keyspace, ReadError};
use crate::text::{Text, Values};

/// Lists every resource of the API server and finds each object of the snapshot again, by its UID.
///
/// What controllers and kubelets renew by themselves (events, leases, endpoints, pods, finished jobs, requests for
/// certificates, bootstrap tokens) is counted and fails nothing.
///
/// ```toml
/// [[step]]
/// name = "verify-objects"
/// action = "verify_objects"
/// timeout = "5m"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyObjects {
    /// The new administrator's kubeconfig on the target (default kubeadm's).
    #[serde(default = "admin_conf")]
    kubeconfig: Text,
}

/// What comes and goes without anybody's doing.
const PASSING: &[&str] =
    &["certificatesigningrequests", "endpoints", "endpointslices", "events", "jobs", "leases", "pods"];
/// How many missing objects are named; all are counted.
const NAMED: usize = 5;
/// Objects are listed in pages of this many.
const PAGE: usize = 500;

impl Declared for VerifyObjects {
    const NAME: &'static str = "verify_objects";
    const OUTPUTS: &'static [&'static str] = &["objects", "resources", "passing", "without_uid"];
    const TUNNELS: bool = true;
}

#[async_trait]
impl Action for VerifyObjects {
    fn texts(&self) -> Vec<&Text> {
        vec![&self.kubeconfig]
    }

    fn describe(&self, _: &PlanContext<'_>) -> Description {
        Description {
            summary: "prove that the API server serves the snapshot's objects, each by its UID".to_owned(),
            ..Description::default()
        }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "listing changes nothing" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let (api, _) = api::open(cx, &self.kubeconfig, Instant::now() + cx.limit).await?;
        cx.tell.note("listing every resource of the API server");
        let listed = listed(&api).await?;
        cx.tell.note("finding the snapshot's objects among them");
        let path = cx.snapshot.path.clone();
        let held = tokio::task::spawn_blocking(move || Held::of(&path)).await;
        let local = |reason: String| ActionError::Local { what: "read the snapshot".to_owned(), reason };
        held.map_err(|error| local(chain(&error)))?.map_err(|error| local(chain(&error)))?.among(&listed)
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

/// The snapshot's objects by resource.
#[derive(Debug, Default)]
struct Held {
    objects: BTreeMap<String, Vec<(String, Object)>>,
    /// Those whose UID cannot be read without the API server's key, or at all.
    without_uid: u64,
}

impl Held {
    fn of(snapshot: &Path) -> Result<Self, ReadError> {
        let mut held = Self::default();
        Keyspace::open(snapshot)?.for_each_live(|record| {
            // Ranges, masterleases and the like are no objects.
            if !record.key.starts_with(PREFIX.as_bytes()) || record.key.starts_with(b"/registry/masterleases/") {
                return;
            }
            let object = Object::of_key(&record.key);
            match uid(&record.value) {
                Some(uid) => held.objects.entry(object.resource.clone()).or_default().push((uid, object)),
                None => held.without_uid += 1,
            }
        })?;
        Ok(held)
    }

    fn among(self, listed: &BTreeSet<String>) -> Result<Outcome, ActionError> {
        let (mut found, mut passing, mut missing) = (0_u64, 0_u64, 0_u64);
        let resources = self.objects.len();
        let mut named = Vec::new();
        for (resource, objects) in self.objects {
            for (uid, object) in objects {
                if listed.contains(&uid) {
                    found += 1;
                } else if passes(&resource, &object) {
                    passing += 1;
                } else {
                    missing += 1;
                    let words = [Some(resource.clone()), object.namespace, Some(object.name)];
                    named.push(words.into_iter().flatten().collect::<Vec<_>>().join("/"));
                }
            }
        }
        if missing > 0 {
            named.truncate(NAMED);
            return Err(ActionError::Unexpected {
                what: "the objects that the API server serves".to_owned(),
                expected: format!("the {} of the snapshot", found + missing),
                found: format!("{found}, without {}", named.join(", ")),
            });
        }
        let outputs = [
            ("objects", found.to_string()),
            ("resources", resources.to_string()),
            ("passing", passing.to_string()),
            ("without_uid", self.without_uid.to_string()),
        ];
        Ok(Outcome::Done(outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
    }
}

fn passes(resource: &str, object: &Object) -> bool {
    PASSING.contains(&resource) || resource == "secrets" && object.name.starts_with("bootstrap-token-")
}

/// The UIDs of all objects that the API server lists.
async fn listed(api: &ApiClient) -> Result<BTreeSet<String>, ActionError> {
    let ask = |path: String| async move { api.get(&path).await.map_err(|error| failed("listing objects", &error)) };
    let mut groups = vec!["/api/v1".to_owned()];
    let known = ask("/apis".to_owned()).await?;
    for group in items(&known, "groups") {
        groups.push(format!("/apis/{}", text_at(group, "/preferredVersion/groupVersion")));
    }
    let mut uids = BTreeSet::new();
    for group in groups {
        // An aggregated API whose server is a pod is not there yet, and none of its objects are in etcd.
        let Ok(resources) = api.get(&group).await else { continue };
        for resource in items(&resources, "resources") {
            let name = text_at(resource, "/name");
            let can_list = items(resource, "verbs").any(|verb| verb == "list");
            if !can_list || name.contains('/') {
                continue;
            }
            let mut more = String::new();
            loop {
                let page = ask(format!("{group}/{name}?limit={PAGE}&continue={more}")).await?;
                uids.extend(items(&page, "items").map(|item| text_at(item, "/metadata/uid")));
                more = text_at(&page, "/metadata/continue");
                if more.is_empty() {
                    break;
                }
            }
        }
    }
    Ok(uids)
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}
