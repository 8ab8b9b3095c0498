//! Is the snapshot of the cluster that the inventory means, and was that cluster's control plane one host?

use super::Look;
use crate::actions::Finding;
use crate::snapshot::Claims;

/// What kubeadm calls a cluster unless it is told otherwise: says nothing.
const DEFAULT_NAME: &str = "kubernetes";

pub(super) fn check(look: &Look) -> Vec<Finding> {
    let Some(claims) = look.claims() else { return Vec::new() };
    let (name, pinned) = (&look.inventory.cluster.name, look.inventory.cluster.uid.as_deref());
    let findings = [identity(claims, pinned), called(claims, name, pinned), members(claims)];
    findings.into_iter().flatten().collect()
}

fn identity(claims: &Claims, pinned: Option<&str>) -> Option<Finding> {
    Some(match (pinned, claims.kube_system_uid.as_deref()) {
        (Some(pinned), Some(found)) if pinned == found => {
            Finding::ok("cluster", format!("the snapshot is of the cluster that the inventory pins: {found}"))
        }
        (Some(pinned), Some(found)) => Finding::error(
            "cluster-foreign",
            format!(
                "the snapshot is of another cluster\n  expected: kube-system {pinned} (`uid` in `[cluster]`)\n  \
                 found:    kube-system {found}"
            ),
            "see that `[[snapshots]]` is this cluster's\n\
             if one went on, the other cluster's objects would be served here, and nodes that connect would run its pods",
        ),
        (Some(pinned), None) => Finding::warning(
            "cluster-unproven",
            format!("the snapshot does not show the UID of kube-system, so that it is {pinned} cannot be proved"),
            "see that `[[snapshots]]` is this cluster's",
        ),
        (None, Some(found)) => Finding::ok(
            "cluster",
            format!("the snapshot is of the cluster {found}: as `uid` in `[cluster]` it refuses any other"),
        ),
        (None, None) => return None,
    })
}

/// A UID that is pinned says more than a name.
fn called(claims: &Claims, name: &str, pinned: Option<&str>) -> Option<Finding> {
    let called = claims.cluster_name.as_deref().filter(|called| *called != DEFAULT_NAME)?;
    if called == name {
        return Some(Finding::ok("cluster-name", format!("the snapshot's cluster is called `{called}`")));
    }
    if pinned.is_some() && claims.kube_system_uid.is_some() {
        return None;
    }
    let pin = claims.kube_system_uid.as_ref().map_or_else(
        || "`--accept cluster-name`".to_owned(),
        |uid| format!("write `uid = \"{uid}\"` in `[cluster]`, which says so for good"),
    );
    Some(Finding::error(
        "cluster-name",
        format!("the snapshot's cluster is called `{called}` (kubeadm's `clusterName`), the inventory's `{name}`"),
        format!(
            "if it is another cluster's, see `[[snapshots]]`; if the inventory's name is only your own for it, {pin}\n\
             if one went on with another cluster's, its objects would be served here"
        ),
    ))
}

/// Members of the old etcd, and old API servers, are not part of the new control plane.
fn members(claims: &Claims) -> Option<Finding> {
    let nodes: Vec<&str> =
        claims.nodes.iter().filter(|node| node.control_plane).map(|node| node.name.as_str()).collect();
    // A restore by etcd 3.4 leaves the members of before in the list: nodes tell better.
    if nodes.len().max(if nodes.is_empty() { claims.members.len() } else { 0 }) < 2 {
        return None;
    }
    let members: Vec<&str> = claims.members.iter().map(|member| member.name.as_str()).collect();
    let listed = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Some(Finding::warning(
        "other-control-planes",
        format!(
            "the snapshot's control plane was more than one host\n  nodes:   {}\n  members: {}",
            listed(nodes),
            listed(members)
        ),
        "keep all of them switched off, with the `fencing` of each; afterwards each joins again: `kubeadm reset`, then \
         `kubeadm join --control-plane`\n\
         an etcd member of before that comes back would serve the old data beside the new",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::Severity;
    use crate::snapshot::ClaimedNode;
    use crate::snapshot::keyspace::Member;

    fn claims(uid: Option<&str>, name: Option<&str>) -> Claims {
        Claims { kube_system_uid: uid.map(str::to_owned), cluster_name: name.map(str::to_owned), ..Claims::default() }
    }

    const NOTHING: (&str, Severity) = ("nothing", Severity::Ok);

    /// Its name and how bad it is.
    fn named(finding: Option<&Finding>) -> (&str, Severity) {
        finding.map_or(NOTHING, |finding| (finding.name.as_str(), finding.severity))
    }

    #[test]
    fn a_pinned_uid_is_the_snapshots_or_nothing_begins() {
        let of = |uid, pinned| identity(&claims(uid, None), pinned);
        assert_eq!(named(of(Some("u-1"), Some("u-1")).as_ref()), ("cluster", Severity::Ok));
        assert_eq!(named(of(Some("u-2"), Some("u-1")).as_ref()), ("cluster-foreign", Severity::Error));
        assert_eq!(named(of(None, Some("u-1")).as_ref()), ("cluster-unproven", Severity::Warning));
        assert_eq!(named(of(Some("u-1"), None).as_ref()), ("cluster", Severity::Ok));
        assert_eq!(named(of(None, None).as_ref()), NOTHING);
    }

    #[test]
    fn a_name_counts_where_no_uid_is_compared() {
        let of = |uid, name, pinned| called(&claims(uid, name), "prod", pinned);
        let foreign = ("cluster-name", Severity::Error);
        assert_eq!(named(of(Some("u-1"), Some("staging"), None).as_ref()), foreign);
        assert_eq!(named(of(None, Some("staging"), Some("u-1")).as_ref()), foreign);
        assert_eq!(named(of(Some("u-1"), Some("staging"), Some("u-1")).as_ref()), NOTHING);
        assert_eq!(named(of(Some("u-1"), Some("prod"), None).as_ref()), ("cluster-name", Severity::Ok));
        assert_eq!(
            named(of(Some("u-1"), Some("kubernetes"), None).as_ref()),
            NOTHING,
            "kubeadm's default says nothing"
        );
    }

    #[test]
    fn several_control_planes_are_told() {
        let node =
            |name: &str, control_plane| ClaimedNode { name: name.to_owned(), control_plane, ..ClaimedNode::default() };
        let member = |name: &str| Member { name: name.to_owned(), peer_urls: Vec::new(), client_urls: Vec::new() };
        let two = vec![member("default"), member("a")];
        let mut claims = Claims { nodes: vec![node("a", true), node("b", false)], members: two, ..Claims::default() };
        assert_eq!(members(&claims), None, "the other member is of before an earlier restore");
        claims.nodes.push(node("c", true));
        let finding = members(&claims).unwrap();
        assert!(finding.message.contains("nodes:   a, c\n  members: default, a"), "{}", finding.message);
        claims.nodes.clear();
        assert_eq!(members(&claims).unwrap().name, "other-control-planes", "members are all that is known");
    }
}
