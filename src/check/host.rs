//! Is the target reachable, in time, and free for us?

use super::{Look, TargetLook};
use crate::actions::{Finding, Loopback, api_port};
use crate::playbook::Step;
use crate::report::human_seconds;
use crate::target::{PathKind, PathState};

/// What a control plane listens on, besides its API server.
const PORTS: [(u16, &str); 5] = [
    (2379, "etcd clients"),
    (2380, "etcd peers"),
    (10250, "kubelet"),
    (10257, "kube-controller-manager"),
    (10259, "kube-scheduler"),
];

pub(super) fn check(look: &Look) -> Vec<Finding> {
    let target = match &look.target {
        Ok(target) => target,
        Err(error) => {
            return vec![super::contact::unusable(look, error)];
        }
    };
    let facts = &target.facts;
    let mut findings = vec![Finding::ok(
        "target",
        format!(
            "{} is {} ({}), reached as root",
            look.inventory.target.host,
            facts.hostname,
            facts.address.as_deref().unwrap_or("no default address")
        ),
    )];
    findings.extend(lacks(target));
    findings.extend(forwarding(look, target));
    findings.push(clock(look, target));
    findings.extend(ports(look, target));
    findings.extend(existing(target));
    findings.extend(endpoint(look, target));
    findings
}

/// Told before the first script that would fail half way.
fn lacks(target: &TargetLook) -> Option<Finding> {
    let lacks = &target.facts.lacks;
    (!lacks.is_empty()).then(|| {
        Finding::error(
            "target-lacks",
            format!("drctl's scripts need on the target, and do not find: {}", lacks.join(", ")),
            "install coreutils (8.24 or later), util-linux, findutils, awk, grep and sed there, or take a newer host",
        )
    })
}

/// Told before anything is restored that could then not be proved.
fn forwarding(look: &Look, target: &TargetLook) -> Option<Finding> {
    let cx = look.plan_context();
    let reason = |step: &Step| target.forbidden.get(&step.action.tunnels_to(&cx)?);
    let (step, reason) = look.steps_to_run().find_map(|step| Some((step, reason(step)?)))?;
    let needed: Vec<String> = look.tunnels().iter().map(Loopback::to_string).collect();
    Some(Finding::error(
        "no-forwarding",
        format!(
            "step `{}` reaches the target's loopback through SSH, which its server does not allow: {reason}",
            step.name
        ),
        format!(
            "`AllowTcpForwarding local` in the target's sshd_config is enough; where it has a `PermitOpen`, that must name {}",
            needed.join(" ")
        ),
    ))
}

fn clock(look: &Look, target: &TargetLook) -> Finding {
    let skew = target.skew;
    let limit = look.inventory.policy.max_clock_skew;
    let way = if skew < 0.0 { "behind" } else { "ahead of" };
    let said =
        format!("the target's clock is {} {way} this one's; up to {limit} is allowed", human_seconds(skew.abs()));
    if skew.abs() <= limit.duration().as_secs_f64() {
        return Finding::ok("clock", said);
    }
    Finding::error(
        "clock-skew",
        said,
        "certificates and leases depend on the time: set the clock that is wrong, then run again",
    )
}

fn ports(look: &Look, target: &TargetLook) -> Vec<Finding> {
    let taken: Vec<String> = [(api_port(&look.inventory, look.claims()), "kube-apiserver")]
        .iter()
        .chain(&PORTS)
        .filter(|(port, _)| target.facts.listening.contains(port))
        .map(|(port, what)| format!("{port} ({what})"))
        .collect();
    if taken.is_empty() {
        return vec![Finding::ok("ports", "the ports of a control plane are free on the target")];
    }
    vec![Finding::error(
        "ports-taken",
        format!("the target's ports must be free, but something listens on {}", taken.join(", ")),
        "`ss -ltnp` on the target shows what: stop it (a kubelet and its containers?), or take a fresh host",
    )]
}

fn existing(target: &TargetLook) -> Vec<Finding> {
    let holds = |state: &PathState| state.kind != PathKind::Absent && !state.empty;
    // `/etc/kubernetes` stands for what is in it.
    let others = [crate::target::HOME, "/etc/kubernetes/pki"];
    let found: Vec<&str> = target
        .facts
        .paths
        .iter()
        .filter(|(path, state)| !others.contains(&path.as_str()) && holds(state))
        .map(|(path, _)| path.as_str())
        .collect();
    if found.is_empty() {
        return vec![Finding::ok("existing-data", "nothing of an older control plane is on the target")];
    }
    vec![Finding::warning(
        "existing-data",
        format!("the target already holds {}", found.join(", ")),
        "it is set aside, not deleted; `drctl rollback` puts it back",
    )]
}

/// Nodes and clients look for the control plane at one address: is it the target's? Of a name nobody can tell here.
fn endpoint(look: &Look, target: &TargetLook) -> Option<Finding> {
    let asked = look.claims().and_then(super::address::asked);
    let endpoints = [Some(&look.inventory.cluster.endpoint), asked.as_ref()];
    let hosts = endpoints.into_iter().flatten().filter_map(|endpoint| crate::inventory::split_endpoint(endpoint));
    let (host, _) = hosts.into_iter().find(|(host, _)| host.parse::<std::net::IpAddr>().is_ok())?;
    if target.facts.addresses.iter().any(|address| address == host) {
        return Some(Finding::ok("endpoint", format!("the target has the control-plane address {host}")));
    }
    Some(Finding::warning(
        "endpoint-elsewhere",
        format!("the control-plane endpoint is {host}, the target has {}", target.facts.addresses.join(", ")),
        "nodes and clients keep asking the old address: move it to the target, or point the load balancer at the target",
    ))
}

/// Does another run hold the target?
pub(super) fn check_lock(look: &Look) -> Vec<Finding> {
    let Ok(TargetLook { holder: Some((holder, live)), facts, .. }) = &look.target else {
        return Vec::new();
    };
    #[expect(clippy::cast_precision_loss, reason = "a time span for the eye")]
    let age = human_seconds((facts.clock - holder.heartbeat as f64).max(0.0));
    let state = match (live, holder.stopped) {
        (true, _) => "alive",
        (false, true) => "stopped part way",
        (false, false) => "without a sign of life",
    };
    vec![Finding::error(
        HELD,
        format!(
            "run {} of {} holds the target: it is {state} (last sign of life {age} ago)",
            holder.run, holder.controller
        ),
        if *live {
            "wait for it, or stop it there (Ctrl-C keeps its checkpoint); it counts as dead a minute after its last sign of life"
                .to_owned()
        } else {
            format!(
                "`drctl resume {0}` or `drctl rollback {0}` on that controller; if it is lost for ever, `--take-over {0}` here",
                holder.run
            )
        },
    )]
}

/// The finding that has an exit code of its own.
pub const HELD: &str = "target-held";
