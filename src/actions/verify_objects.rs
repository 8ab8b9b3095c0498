//! Proof that the API server serves the snapshot's objects: the same ones, by UID, not others of the same name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::api::{self, admin_conf, failed, text_at};
use super::{
    Action, ActionError, Context, Declared, Description, Finding, Loopback, Outcome, PlanContext, SetAside, Verdict,
};
use crate::engine::chain;
use crate::kube::{ApiClient, ApiError};
use crate::snapshot::kubernetes::uid;
use crate::snapshot::object::{Object, PREFIX};
use crate::snapshot::{Keyspace, ReadError};
use crate::text::{Text, Values};

/// Lists every resource of the API server, in the first version of its group that lists it, and finds each object of the
/// snapshot again, by its UID.
///
/// Objects of resources that no version serves are told and fail nothing: an API server without their kind cannot show
/// them. What controllers and kubelets renew by themselves (events, leases, endpoints, pods, finished jobs, requests for
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
    const OUTPUTS: &'static [&'static str] = &["objects", "resources", "passing", "unserved", "without_uid"];
}

#[async_trait]
impl Action for VerifyObjects {
    fn texts(&self) -> Vec<&Text> {
        vec![&self.kubeconfig]
    }

    fn tunnels_to(&self, cx: &PlanContext<'_>) -> Option<Loopback> {
        Some(Loopback::port(cx.api_port()))
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
        let served = Served::of(&api).await?;
        cx.tell.note("finding the snapshot's objects among them");
        let path = cx.snapshot.path.clone();
        let held = tokio::task::spawn_blocking(move || Held::of(&path)).await;
        let local = |reason: String| ActionError::Local { what: "read the snapshot".to_owned(), reason };
        held.map_err(|error| local(chain(&error)))?.map_err(|error| local(chain(&error)))?.among(&served)
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

    fn among(self, served: &Served) -> Result<Outcome, ActionError> {
        let (mut found, mut passing, mut missing) = (0_u64, 0_u64, 0_u64);
        let resources = self.objects.len();
        let (mut named, mut unserved) = (Vec::new(), BTreeMap::<String, u64>::new());
        for (resource, objects) in self.objects {
            for (uid, object) in objects {
                if served.uids.contains(&uid) {
                    found += 1;
                } else if passes(&resource, &object) {
                    passing += 1;
                } else if !served.resources.contains(&resource) {
                    *unserved.entry(resource.clone()).or_default() += 1;
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
        let unserved: Vec<String> = unserved.iter().map(|(resource, count)| format!("{count} of {resource}")).collect();
        let outputs = [
            ("objects", found.to_string()),
            ("resources", resources.to_string()),
            ("passing", passing.to_string()),
            ("unserved", if unserved.is_empty() { "none".to_owned() } else { unserved.join(", ") }),
            ("without_uid", self.without_uid.to_string()),
        ];
        Ok(Outcome::Done(outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
    }
}

fn passes(resource: &str, object: &Object) -> bool {
    PASSING.contains(&resource) || resource == "secrets" && object.name.starts_with("bootstrap-token-")
}

/// What the API server serves.
#[derive(Debug, Default)]
struct Served {
    /// The UIDs of all objects that it lists.
    uids: BTreeSet<String>,
    /// Its resources, by every name that a key of etcd may have for them.
    resources: BTreeSet<String>,
}

impl Served {
    async fn of(api: &ApiClient) -> Result<Self, ActionError> {
        let mut served = Self::default();
        for resource in resources(api).await? {
            served.resources.extend(resource.names());
            served.uids.extend(resource.uids(api).await?);
        }
        Ok(served)
    }
}

/// A resource that can be listed.
#[derive(Debug, PartialEq, Eq)]
struct Resource {
    /// Its group; empty for the core's.
    group: String,
    name: String,
    kind: String,
    /// Where it is listed in each version that has it, in the order of the group's versions.
    paths: Vec<String>,
}

impl Resource {
    /// Keys of etcd name most resources as the API does, a few by their kind (`ingress`), and those that came later with
    /// their group.
    fn names(&self) -> [String; 3] {
        [self.name.clone(), self.kind.to_lowercase(), format!("{}/{}", self.group, self.name)]
    }

    /// The UIDs of its objects. A version may be listed through a webhook whose pods are not there: then the next is.
    async fn uids(&self, api: &ApiClient) -> Result<Vec<String>, ActionError> {
        let mut refused = None;
        for path in &self.paths {
            match uids(api, path).await {
                Ok(uids) => return Ok(uids),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        refused.map_or(Ok(Vec::new()), |error| Err(failed("listing objects", &error)))
    }
}

/// All that can be listed, of every version of every group.
async fn resources(api: &ApiClient) -> Result<Vec<Resource>, ActionError> {
    let ask =
        |path: &'static str| async move { api.get(path).await.map_err(|error| failed("listing objects", &error)) };
    let mut found = Vec::new();
    add(&mut found, "", "/api/v1", &ask("/api/v1").await?);
    for group in items(&ask("/apis").await?, "groups") {
        for version in items(group, "versions") {
            let path = format!("/apis/{}", text_at(version, "/groupVersion"));
            match api.get(&path).await {
                Ok(listed) => add(&mut found, &text_at(group, "/name"), &path, &listed),
                Err(error) if is_nobodys(&error) => {}
                Err(error) => return Err(failed("listing objects", &error)),
            }
        }
    }
    Ok(found)
}

/// Of an aggregated API whose server is a pod that is not there yet none of the objects are in etcd. Whoever gives no answer
/// at all may serve some of them, and those would be told as served by nobody.
fn is_nobodys(error: &ApiError) -> bool {
    matches!(error, ApiError::Refused { status: 404 | 503, .. })
}

/// Adds what a version has.
fn add(found: &mut Vec<Resource>, group: &str, version: &str, listed: &Value) {
    for resource in items(listed, "resources") {
        let name = text_at(resource, "/name");
        if name.contains('/') || !items(resource, "verbs").any(|verb| verb == "list") {
            continue;
        }
        let path = format!("{version}/{name}");
        if let Some(known) = found.iter_mut().find(|known| known.group == group && known.name == name) {
            known.paths.push(path);
        } else {
            let kind = text_at(resource, "/kind");
            found.push(Resource { group: group.to_owned(), name, kind, paths: vec![path] });
        }
    }
}

async fn uids(api: &ApiClient, path: &str) -> Result<Vec<String>, ApiError> {
    let (mut uids, mut more) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("{path}?limit={PAGE}&continue={more}")).await?;
        uids.extend(items(&page, "items").map(|item| text_at(item, "/metadata/uid")));
        more = text_at(&page, "/metadata/continue");
        if more.is_empty() {
            return Ok(uids);
        }
    }
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kube::stand_in::stand_in;

    #[tokio::test]
    async fn only_a_version_that_nobody_serves_is_left_out() {
        let found = async |status: u16| {
            let group = json!({"name": "example.com", "versions": [{"groupVersion": "example.com/v1"}]});
            let api = stand_in(move |_, path| match path {
                "/api/v1" => (200, json!({"resources": []})),
                "/apis" => (200, json!({"groups": [group]})),
                _ => (status, json!({"message": "said so"})),
            });
            resources(&api.await).await
        };
        for status in [404, 503] {
            assert_eq!(found(status).await.unwrap(), [], "{status}");
        }
        for status in [429, 500] {
            assert_eq!(
                found(status).await.unwrap_err().to_string(),
                format!(
                    "listing objects failed: the API server answered {status} to GET /apis/example.com/v1: said so"
                )
            );
        }
    }

    fn discovered() -> Vec<Resource> {
        let mut found = Vec::new();
        let version = |resources: Value| json!({"resources": resources});
        let things = json!({"name": "things", "kind": "Thing", "verbs": ["get", "list"]});
        let status = json!({"name": "things/status", "kind": "Thing", "verbs": ["get", "list"]});
        let reviews = json!({"name": "reviews", "kind": "Review", "verbs": ["create"]});
        let old = json!({"name": "olds", "kind": "Old", "verbs": ["list"]});
        let ingresses = json!({"name": "ingresses", "kind": "Ingress", "verbs": ["list"]});
        add(&mut found, "networking.k8s.io", "/apis/networking.k8s.io/v1", &version(json!([ingresses])));
        add(&mut found, "example.com", "/apis/example.com/v2", &version(json!([things, status, reviews])));
        add(&mut found, "example.com", "/apis/example.com/v1", &version(json!([things, old])));
        found
    }

    #[test]
    fn what_the_preferred_version_lacks_is_listed_in_another() {
        let found = discovered();
        let paths: Vec<&[String]> = found.iter().map(|resource| resource.paths.as_slice()).collect();
        assert_eq!(
            paths,
            [
                &["/apis/networking.k8s.io/v1/ingresses".to_owned()][..],
                &["/apis/example.com/v2/things".to_owned(), "/apis/example.com/v1/things".to_owned()],
                &["/apis/example.com/v1/olds".to_owned()],
            ]
        );
    }

    fn among(keys: &[(&str, &str)]) -> Result<Outcome, ActionError> {
        let mut held = Held::default();
        for (key, uid) in keys {
            let object = Object::of_key(key.as_bytes());
            held.objects.entry(object.resource.clone()).or_default().push(((*uid).to_owned(), object));
        }
        let resources = discovered().iter().flat_map(Resource::names).collect();
        held.among(&Served { uids: BTreeSet::from(["here".to_owned()]), resources })
    }

    #[test]
    fn what_no_version_serves_is_told_and_what_is_served_must_be_there() {
        let here = ("/registry/example.com/things/a/b", "here");
        let unserved = [
            here,
            ("/registry/podsecuritypolicy/strict", "gone"),
            ("/registry/gone.example.com/things/a/b", "gone"),
            ("/registry/gone.example.com/things/a/c", "gone"),
        ];
        let Ok(Outcome::Done(outputs)) = among(&unserved) else { panic!("they fail nothing") };
        assert_eq!(outputs["unserved"], "2 of gone.example.com/things, 1 of podsecuritypolicy");
        assert_eq!(outputs["objects"], "1");
        for served in ["/registry/example.com/things/a/c", "/registry/example.com/olds/a", "/registry/ingress/a/b"] {
            let error = among(&[here, (served, "gone")]).unwrap_err().to_string();
            let name = served.trim_start_matches("/registry/");
            assert_eq!(
                error,
                format!(
                    "the objects that the API server serves: expected the 2 of the snapshot, found 1, without {name}"
                )
            );
        }
    }
}
