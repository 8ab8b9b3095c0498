//! The answer for people, from the file outside to the objects inside.

use console::style;
use jiff::{SignedDuration, Timestamp};

use super::{Answer, Use};
use crate::cli::snapshot::table::{Table, bar, count, field, heading, plain, size};
use crate::report::human_seconds;
use crate::snapshot::Node;
use crate::snapshot::keyspace::Alarm;
use crate::snapshot::origin::{Clock, Encrypted, Witness};
use crate::sources::TimeFrom;

/// Resources that are shown, the largest first.
const LARGEST: usize = 12;
/// Namespaces that are shown by name.
const NAMESPACES: usize = 12;

pub(super) fn of(answer: &Answer, now: Timestamp, all: bool) -> String {
    let mut text = file(answer, now);
    text.push_str(&cluster(answer));
    text.push_str(&etcd(answer));
    text.push_str(&nodes(answer));
    text.push_str(&certificates(answer, now));
    text.push_str(&objects(answer, all));
    text.push_str(&unread(answer));
    text
}

fn file(answer: &Answer, now: Timestamp) -> String {
    let state = match &answer.fault {
        None => style("whole".to_owned()).green(),
        Some(fault) => style(format!("NOT WHOLE: {}", plain(fault))).red().bold(),
    };
    let mut text = format!("{}\n", style(&answer.name).bold());
    text.push_str(&field("state", state));
    if let Some(source) = &answer.source {
        text.push_str(&field("source", source));
    }
    if !answer.packed.is_empty() {
        let packed: Vec<String> = answer.packed.iter().map(ToString::to_string).collect();
        text.push_str(&field("packed", packed.join(", then ")));
    }
    if let Some(taken) = answer.taken {
        let by = if answer.time_from == Some(TimeFrom::Name) { "by its name" } else { "by the file's time" };
        text.push_str(&field("taken", format!("{}, {} ago, {by}", utc(taken), span(now.duration_since(taken)))));
    }
    text.push_str(&field("data", data_time(answer)));
    let pages = answer.knowledge.pages;
    let free = pages.free * 100 / pages.total.max(1);
    text.push_str(&field(
        "size",
        format!(
            "{} in {} pages of {}: {} used, {} free ({free} %)",
            size(answer.size),
            count(pages.total),
            size(u64::from(pages.size)),
            count(pages.used),
            count(pages.free)
        ),
    ));
    if let Some(sum) = answer.sha256 {
        text.push_str(&field("sha256", sum));
    }
    text
}

/// When the data was alive.
fn data_time(answer: &Answer) -> String {
    let Some(newest) = &answer.newest_change else {
        return "no object in it says when it was alive".to_owned();
    };
    let from = match newest.clock {
        Clock::Leader => "a leader's lease",
        Clock::NodeLease => "a node's lease",
        Clock::NodeStatus => "a node's heartbeat",
        Clock::Event => "an event",
    };
    let gap = answer.taken.map(|taken| taken.duration_since(newest.change.time)).map_or_else(String::new, |gap| {
        let side = if gap.is_negative() { "after" } else { "before" };
        format!(", {} {side} it was taken", span(gap.abs()))
    });
    format!("newest change {}{gap}\n{from}: {}", utc(newest.change.time), plain(&newest.change.key))
}

fn cluster(answer: &Answer) -> String {
    let known = &answer.knowledge;
    let mut text = heading("Cluster");
    let mut said = |name: &str, value: Option<&str>| {
        text.push_str(&field(name, value.map_or_else(|| style("unknown".to_owned()).dim().to_string(), plain)));
    };
    said("name", answer.cluster_name.as_deref());
    said("kube-system", known.kube_system_uid.as_deref());
    said("kubernetes", answer.kubernetes_version.as_deref());
    let configuration = known.configuration.clone().unwrap_or_default();
    let unset = known.configuration.is_some().then_some("not set");
    said("endpoint", configuration.control_plane_endpoint.as_deref().or(known.server.as_deref()));
    let servers = known.api_servers.join(", ");
    said("API servers", Some(servers.as_str()).filter(|servers| !servers.is_empty()));
    said("pods", configuration.pod_subnet.as_deref().or(unset));
    said("services", configuration.service_subnet.as_deref().or(unset));
    said("domain", configuration.dns_domain.as_deref().or(unset));
    text.push_str(&field("at rest", at_rest(answer)));
    text
}

/// Whether Secrets can be read without a key.
fn at_rest(answer: &Answer) -> String {
    let secrets = answer.knowledge.resources.get("secrets").map_or(0, |count| count.objects);
    let encrypted = &answer.knowledge.encrypted;
    if encrypted.is_empty() {
        return format!("nothing is encrypted: {} Secrets can be read by whoever has this file", count(secrets));
    }
    let line = |Encrypted { resource, cipher, objects }: &Encrypted| {
        let all = answer.knowledge.resources.get(resource).map_or(0, |count| count.objects);
        format!(
            "{}: {} of {} encrypted by {} with the key `{}`",
            plain(resource),
            count(*objects),
            count(all),
            plain(&cipher.provider),
            plain(&cipher.key)
        )
    };
    let lines: Vec<String> = encrypted.iter().map(line).collect();
    let needed = style("the EncryptionConfiguration with these keys is needed: without it they are lost").yellow();
    format!("{}\n{needed}", lines.join("\n"))
}

fn etcd(answer: &Answer) -> String {
    let (etcd, totals) = (&answer.knowledge.etcd, answer.knowledge.totals);
    let mut text = heading("etcd");
    let storage = etcd.storage_version.as_deref().map(|version| format!(", storage {}", plain(version)));
    let version = etcd.cluster_version.as_deref().map_or_else(|| "unknown".to_owned(), plain);
    text.push_str(&field("version", version + &storage.unwrap_or_default()));
    text.push_str(&field("revision", format!("{}, compacted up to {}", totals.revision, etcd.compacted)));
    let keys = format!(
        "{} ({}), {} records, {} leases",
        count(totals.live_keys),
        size(totals.live_bytes),
        count(totals.records),
        count(etcd.leases)
    );
    text.push_str(&field("keys", keys));
    let members = etcd.members.iter().map(|member| plain(&format!("{} {}", member.name, member.peer_urls.join(" "))));
    text.push_str(&field("members", members.collect::<Vec<_>>().join("\n")));
    for alarm in &etcd.alarms {
        let told = match alarm {
            Alarm::NoSpace => "NOSPACE: full, and it refuses writes when it is restored".to_owned(),
            Alarm::Corrupt => "CORRUPT: the members' data differed".to_owned(),
            Alarm::Other(number) => number.to_string(),
        };
        text.push_str(&field("alarm", style(told).red()));
    }
    text
}

fn nodes(answer: &Answer) -> String {
    let nodes = &answer.knowledge.nodes;
    let mut table = Table::new(&["NAME", "ROLES", "ADDRESS", "KUBELET", "PODS", "STATE"], &[]);
    for node in nodes {
        let roles = if node.roles.is_empty() { "-".to_owned() } else { node.roles.join(",") };
        let state = if node.ready { style("ready").green() } else { style("not ready").yellow() };
        let cells = [&node.name, &roles, &address(node), &node.kubelet, &node.pod_cidr];
        table.row(cells.map(|cell| plain(cell)).into_iter().chain([state.to_string()]));
    }
    format!("{}{table}", heading(&format!("Nodes ({})", nodes.len())))
}

fn address(node: &Node) -> String {
    let first = || node.addresses.first().map(|address| address.address.as_str());
    node.address("InternalIP").or_else(first).unwrap_or("-").to_owned()
}

fn certificates(answer: &Answer, now: Timestamp) -> String {
    let mut text = heading("Certificate authorities");
    if answer.certificates.is_empty() {
        text.push_str("  none that can be read\n");
    }
    for certificate in &answer.certificates {
        let of = if certificate.of == Use::Cluster { "cluster" } else { "front proxy" };
        let subject = certificate.subject.as_deref().map_or_else(|| "damaged".to_owned(), plain);
        let dates = match (certificate.not_before, certificate.not_after) {
            (Some(from), Some(to)) if to < now => {
                style(format!("{} to {}: EXPIRED", day(from), day(to))).red().to_string()
            }
            (Some(from), Some(to)) => format!("{} to {}", day(from), day(to)),
            _ => String::new(),
        };
        let places: Vec<&str> = certificate.found_in.iter().map(|witness| place(*witness)).collect();
        let lines = format!("{subject}  {dates}\nsha256 {}\nin {}", certificate.sha256, places.join(", "));
        text.push_str(&field(of, lines));
    }
    text
}

fn place(witness: Witness) -> &'static str {
    match witness {
        Witness::ClusterInfo => "cluster-info",
        Witness::ApiServerAuthentication => "extension-apiserver-authentication",
        Witness::RootCa => "kube-root-ca.crt",
        Witness::ServiceAccountToken => "service-account tokens",
    }
}

fn objects(answer: &Answer, all: bool) -> String {
    let known = &answer.knowledge;
    let names = known.namespaces.iter().take(if all { usize::MAX } else { NAMESPACES }).map(|name| plain(name));
    let mut names = names.collect::<Vec<_>>().join(", ");
    if known.namespaces.len() > NAMESPACES && !all {
        names.push_str(&format!(" and {} more (`--all`)", known.namespaces.len() - NAMESPACES));
    }
    let mut text = format!("{}  {names}\n", heading(&format!("Namespaces ({})", known.namespaces.len())));

    let mut resources: Vec<_> = known.resources.iter().collect();
    resources.sort_by_key(|(_, held)| std::cmp::Reverse(held.bytes));
    let largest = resources.first().map_or(0, |(_, held)| held.bytes);
    let shown = if all { resources.len() } else { LARGEST };
    let mut table = Table::new(&["RESOURCE", "OBJECTS", "SIZE", ""], &[1, 2]);
    for (resource, held) in resources.iter().take(shown) {
        table.row([plain(resource), count(held.objects), size(held.bytes), bar(held.bytes, largest)]);
    }
    let objects: u64 = resources.iter().map(|(_, held)| held.objects).sum();
    text.push_str(&heading(&format!("Objects ({}), the largest resources first", count(objects))));
    text.push_str(&table.to_string());
    let rest = &resources[resources.len().min(shown)..];
    if !rest.is_empty() {
        let (objects, bytes) =
            rest.iter().fold((0, 0), |(objects, bytes), (_, held)| (objects + held.objects, bytes + held.bytes));
        text.push_str(&format!(
            "  and {} more resources: {} objects, {} (`--all`)\n",
            rest.len(),
            count(objects),
            size(bytes)
        ));
    }
    text
}

fn unread(answer: &Answer) -> String {
    let unread = &answer.knowledge.unread;
    if unread.is_empty() {
        return String::new();
    }
    let lines: String =
        unread.iter().map(|unread| format!("  {}: {}\n", plain(&unread.key), plain(&unread.reason))).collect();
    format!("{}{lines}", heading(&format!("Could not be read ({})", unread.len())))
}

fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

fn span(time: SignedDuration) -> String {
    human_seconds(time.as_secs_f64())
}
