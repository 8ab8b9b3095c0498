//! Will nodes and clients of before find the new control plane? The snapshot says where they look for it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Look;
use crate::actions::Finding;
use crate::inventory::split_endpoint;
use crate::kube::API_PORT;
use crate::snapshot::Claims;

pub(super) fn check(look: &Look) -> Vec<Finding> {
    look.claims().and_then(|claims| judge(&look.inventory.cluster.endpoint, claims)).into_iter().collect()
}

fn judge(endpoint: &str, claims: &Claims) -> Option<Finding> {
    let asked = asked(claims);
    let (host, _) = split_endpoint(endpoint)?;
    let known = known(claims);
    if asked.as_deref().is_some_and(|asked| asked.eq_ignore_ascii_case(endpoint)) {
        return Some(Finding::ok(
            "endpoint-of-snapshot",
            format!("the snapshot's nodes look for the control plane at {endpoint}"),
        ));
    }
    if known.is_empty() {
        return None;
    }
    let asked = asked.unwrap_or_else(|| known.iter().cloned().collect::<Vec<_>>().join(", "));
    let asks_a_name = split_endpoint(&asked).is_some_and(|(host, _)| host.parse::<IpAddr>().is_err());
    // The address behind a name is in no certificate; a name that is in none can be nobody's endpoint.
    if known.contains(&host.to_ascii_lowercase()) || (asks_a_name && host.parse::<IpAddr>().is_ok()) {
        return Some(Finding::warning(
            "endpoint-differs",
            format!(
                "the snapshot's nodes look for the control plane at {asked}, the inventory's `endpoint` is {endpoint}"
            ),
            format!("see that {asked} leads to the target in the end: that is where nodes reconnect"),
        ));
    }
    Some(Finding::error(
        "endpoint-foreign",
        format!(
            "the snapshot does not know the control plane's address\n  expected: {asked}, where its nodes look for it\n  \
             found:    {endpoint} (`endpoint` in `[cluster]`)"
        ),
        "see that `[[snapshots]]` and `[pki]` are this cluster's, and correct `endpoint`; if the control plane is to move, accept it\n\
         if one went on, no node would come back until `server` in its `/etc/kubernetes/kubelet.conf` is changed, and clients alike",
    ))
}

/// Where nodes look for the control plane, as `host:port`.
pub(super) fn asked(claims: &Claims) -> Option<String> {
    let own = claims.api_port.unwrap_or(API_PORT);
    let with_port = |at: &str| if split_endpoint(at).is_some() { at.to_owned() } else { format!("{at}:{own}") };
    let server = claims.server.as_deref().and_then(|server| server.strip_prefix("https://"));
    claims.control_plane_endpoint.as_deref().or(server).map(|at| with_port(at.trim_end_matches('/')))
}

/// Every name and address of the control plane that the snapshot shows, in lower case.
fn known(claims: &Claims) -> BTreeSet<String> {
    let nodes = claims.nodes.iter().filter(|node| node.control_plane);
    let of_nodes = nodes.flat_map(|node| node.addresses.iter().map(|at| &at.address).chain([&node.name]));
    let asked = asked(claims);
    let host = asked.as_deref().and_then(split_endpoint).map(|(host, _)| host.to_owned());
    let all = of_nodes.chain(&claims.api_servers).chain(&claims.certificate_names).chain(&host);
    all.map(|name| name.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::ClaimedNode;

    fn claims() -> Claims {
        Claims {
            server: Some("https://10.0.0.10:6443".to_owned()),
            nodes: vec![ClaimedNode { name: "cp-1".to_owned(), control_plane: true, ..ClaimedNode::default() }],
            certificate_names: vec!["api.example.org".to_owned()],
            ..Claims::default()
        }
    }

    fn of(endpoint: &str, claims: &Claims) -> String {
        judge(endpoint, claims).map_or_else(|| "nothing".to_owned(), |finding| finding.name)
    }

    #[test]
    fn the_address_that_nodes_ask_is_right() {
        assert_eq!(of("10.0.0.10:6443", &claims()), "endpoint-of-snapshot");
        let named = Claims { control_plane_endpoint: Some("LB.example.org".to_owned()), ..claims() };
        assert_eq!(of("lb.example.org:6443", &named), "endpoint-of-snapshot");
        let elsewhere = Claims { api_port: Some(8443), ..named };
        assert_eq!(of("lb.example.org:8443", &elsewhere), "endpoint-of-snapshot", "kubeadm adds its API server's port");
    }

    #[test]
    fn what_the_snapshot_knows_may_lead_there() {
        for endpoint in ["10.0.0.10:443", "cp-1:6443", "api.example.org:6443"] {
            assert_eq!(of(endpoint, &claims()), "endpoint-differs", "{endpoint}");
        }
        let named = Claims { control_plane_endpoint: Some("lb.example.org:6443".to_owned()), ..claims() };
        assert_eq!(of("10.9.9.9:6443", &named), "endpoint-differs", "it may be the address behind the name");
    }

    #[test]
    fn another_address_is_another_clusters() {
        for endpoint in ["10.0.0.11:6443", "api.staging.example.org:6443"] {
            assert_eq!(of(endpoint, &claims()), "endpoint-foreign", "{endpoint}");
        }
    }

    #[test]
    fn without_any_address_nothing_is_said() {
        assert_eq!(of("10.0.0.11:6443", &Claims::default()), "nothing");
    }
}
