//! Reads what `facts.sh` writes. Every line is checked: a host may answer anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::facts::{Facts, Filesystem, HomeState, Image, Kubelet, PathKind, PathState, Tool};

/// The facts, or the line that cannot be understood.
pub(super) fn read(answer: &str, paths: &[&str]) -> Result<Facts, String> {
    let lines: Vec<Line<'_>> = answer.lines().map(Line::new).collect();
    if lines.last().is_none_or(|line| line.key != "end") {
        return Err(answer.to_owned());
    }
    let addresses = addresses(&lines);
    Ok(Facts {
        hostname: one(&lines, "hostname")?.to_owned(),
        boot_id: one(&lines, "boot_id")?.to_owned(),
        clock: number(&lines, "clock")?,
        uid: number(&lines, "uid")?,
        kernel: one(&lines, "kernel")?.to_owned(),
        machine: one(&lines, "machine")?.to_owned(),
        os: one(&lines, "os")?.to_owned(),
        systemd: one(&lines, "systemd")? == "yes",
        tools: all(&lines, "tool").map(tool).collect::<Result<_, _>>()?,
        lacks: all(&lines, "lacks").map(|line| line.values.join(" ")).collect(),
        kubelet: all(&lines, "kubelet").find_map(kubelet),
        address: default_address(&lines, &addresses),
        addresses: addresses.into_iter().map(|(_, address)| address.to_string()).collect(),
        listening: listening(&lines)?,
        images: images(&lines),
        home: home(&lines)?,
        paths: path_states(&lines, paths)?,
    })
}

/// A key, and values with tabs between.
struct Line<'a> {
    text: &'a str,
    key: &'a str,
    values: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn new(text: &'a str) -> Self {
        let mut fields = text.split('\t');
        Self { text, key: fields.next().unwrap_or_default(), values: fields.collect() }
    }

    fn odd(&self) -> String {
        self.text.to_owned()
    }
}

fn all<'l, 'a>(lines: &'l [Line<'a>], key: &'static str) -> impl Iterator<Item = &'l Line<'a>> {
    lines.iter().filter(move |line| line.key == key)
}

fn one<'a>(lines: &[Line<'a>], key: &'static str) -> Result<&'a str, String> {
    match all(lines, key).next() {
        Some(Line { values, .. }) if values.len() == 1 => Ok(values[0]),
        Some(line) => Err(line.odd()),
        None => Err(format!("no {key}")),
    }
}

fn number<T: std::str::FromStr>(lines: &[Line<'_>], key: &'static str) -> Result<T, String> {
    one(lines, key)?.parse().map_err(|_| format!("{key} {}", one(lines, key).unwrap_or_default()))
}

fn tool(line: &Line<'_>) -> Result<(String, Tool), String> {
    let [name, path, said, restores, bumps] = line.values[..] else { return Err(line.odd()) };
    let tool =
        Tool { path: path.to_owned(), version: version(said), restores: restores == "yes", bumps: bumps == "yes" };
    Ok((name.to_owned(), tool))
}

/// The first thing in a text that looks like a version, rather with dots: `1.20.2` in `Kubernetes v1.20.2`.
fn version(said: &str) -> Option<String> {
    let words = said.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '~')));
    let numbers: Vec<&str> = words
        .filter_map(|word| {
            let word = word.strip_prefix('v').unwrap_or(word);
            let end = word.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(word.len());
            let number = word[..end].trim_end_matches('.');
            number.starts_with(|c: char| c.is_ascii_digit()).then_some(number)
        })
        .collect();
    let dotted = numbers.iter().find(|number| number.contains('.'));
    dotted.or(numbers.first()).map(|number| (*number).to_owned())
}

fn kubelet(line: &Line<'_>) -> Option<Kubelet> {
    let [active, enabled] = line.values[..] else { return None };
    let known = !active.is_empty() && !enabled.is_empty() && enabled != "not-found";
    known.then(|| Kubelet { active: matches!(active, "active" | "activating"), enabled: enabled == "enabled" })
}

/// The global addresses and their devices.
fn addresses<'a>(lines: &[Line<'a>]) -> Vec<(&'a str, IpAddr)> {
    all(lines, "address")
        .filter_map(|line| {
            let [device, address] = line.values[..] else { return None };
            let address = address.split('/').next()?.parse().ok()?;
            Some((device, address))
        })
        .collect()
}

fn default_address(lines: &[Line<'_>], addresses: &[(&str, IpAddr)]) -> Option<String> {
    let route = all(lines, "route").find_map(|line| line.values.first()).copied().unwrap_or_default();
    let mut words = route.split(' ');
    let device = words.by_ref().find(|word| *word == "dev").and_then(|_| words.next());
    let on_device = addresses.iter().find(|(on, address)| Some(*on) == device && address.is_ipv4());
    let any = || addresses.iter().find(|(_, address)| address.is_ipv4()).or(addresses.first());
    on_device.or_else(any).map(|(_, address)| address.to_string())
}

/// The ports of `/proc/net/tcp`'s listening lines: `0100007F:0016` is port 22.
fn listening(lines: &[Line<'_>]) -> Result<Vec<u16>, String> {
    let ports: BTreeSet<u16> = all(lines, "listens")
        .map(|line| {
            let port = line.values.first().and_then(|at| at.rsplit_once(':'));
            port.and_then(|(_, port)| u16::from_str_radix(port, 16).ok()).ok_or_else(|| line.odd())
        })
        .collect::<Result<_, _>>()?;
    Ok(ports.into_iter().collect())
}

fn images(lines: &[Line<'_>]) -> Vec<Image> {
    lines
        .iter()
        .filter_map(|line| {
            let engine = line.key.strip_prefix("image-")?.to_owned();
            let name = (*line.values.first()?).to_owned();
            (!name.contains("<none>")).then_some(Image { engine, name })
        })
        .collect()
}

fn home(lines: &[Line<'_>]) -> Result<HomeState, String> {
    let line = all(lines, "home").next().ok_or("no home")?;
    match line.values[..] {
        ["absent"] => Ok(HomeState::Absent),
        ["safe"] => Ok(HomeState::Safe),
        ["unsafe", reason] => Ok(HomeState::Unsafe { reason: reason.to_owned() }),
        _ => Err(line.odd()),
    }
}

fn path_states(lines: &[Line<'_>], paths: &[&str]) -> Result<BTreeMap<String, PathState>, String> {
    let mut states = BTreeMap::new();
    for line in all(lines, "path") {
        let [index, kind, empty, resolved, free, id] = line.values[..] else { return Err(line.odd()) };
        let kind = match kind {
            "absent" => PathKind::Absent,
            "file" => PathKind::File,
            "folder" => PathKind::Folder,
            "mount" => PathKind::Mount,
            "symlink" => PathKind::Symlink,
            "other" => PathKind::Other,
            _ => return Err(line.odd()),
        };
        let path = index.parse().ok().and_then(|index: usize| paths.get(index)).ok_or_else(|| line.odd())?;
        let filesystem = match (free.parse::<u64>(), id.parse()) {
            (Ok(free), Ok(id)) => Some(Filesystem { id, free: free.saturating_mul(1024) }),
            _ => None,
        };
        let resolved = (!resolved.is_empty()).then(|| resolved.to_owned());
        states.insert((*path).to_owned(), PathState { kind, empty: empty == "yes", resolved, filesystem });
    }
    if states.len() < paths.iter().collect::<BTreeSet<_>>().len() {
        return Err("not all paths".to_owned());
    }
    Ok(states)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &str = "clock\t1.5\nhostname\tcp-1\nboot_id\tb\nuid\t0\nkernel\t6.1\nmachine\tx86_64\nos\tDebian\n\
        systemd\tyes\ntool\tetcdctl\t/usr/bin/etcdctl\tetcdctl version: 3.4.23\tyes\tno\nkubelet\tinactive\tenabled\n\
        address\tlo\tfe80::1/64\naddress\teth1\t10.0.0.1/8\naddress\teth0\t10.9.0.5/24\n\
        route\tdefault via 10.9.0.1 dev eth0 proto dhcp\nlistens\t0100007F:0016\nlistens\t00:192B\n\
        image-docker\tk8s.gcr.io/etcd:3.4.13-0\nhome\tsafe\npath\t0\tmount\tno\t/a\t10\t5\nend\tok\n";

    #[test]
    fn reads_a_whole_answer() {
        let facts = read(ANSWER, &["/a"]).unwrap();
        assert_eq!(facts.address.as_deref(), Some("10.9.0.5"));
        assert_eq!(facts.addresses, ["fe80::1", "10.0.0.1", "10.9.0.5"]);
        assert_eq!(facts.listening, [22, 6443]);
        assert_eq!(facts.tools["etcdctl"].version.as_deref(), Some("3.4.23"));
        assert_eq!(facts.kubelet, Some(Kubelet { active: false, enabled: true }));
        assert_eq!(facts.paths["/a"].filesystem, Some(Filesystem { id: 5, free: 10240 }));
        assert_eq!(facts.values()["target.hostname"], "cp-1");
    }

    #[test]
    fn versions_as_programs_tell_them() {
        for (said, is) in [
            ("Kubernetes v1.20.2", Some("1.20.2")),
            ("v1.20.2", Some("1.20.2")),
            ("Docker version 20.10.5+dfsg1, build 55c4c88", Some("20.10.5")),
            ("ctr github.com/containerd/containerd 1.4.13~ds1", Some("1.4.13")),
            ("systemd 252 (252.19-1)", Some("252.19")),
            ("*** Zstandard CLI (64-bit) v1.5.4, by Yann Collet ***", Some("1.5.4")),
            ("none", None),
        ] {
            assert_eq!(version(said).as_deref(), is, "{said}");
        }
    }

    #[test]
    fn odd_answers_are_refused() {
        for (from, to) in [
            ("end\tok", ""),
            ("uid\t0", "uid\troot"),
            ("uid\t0\n", ""),
            ("home\tsafe", "home\tperhaps"),
            ("mount", "cave"),
            ("path\t0", "path\t7"),
            ("0016", "zz"),
        ] {
            assert!(read(&ANSWER.replacen(from, to, 1), &["/a"]).is_err(), "{from} as {to}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(answer in "([a-z]{0,8}\t?[ -~]{0,9}\n){0,9}") {
            let _read_or_refused = read(&answer, &["/a"]);
            let _either_too = read(&format!("{answer}{ANSWER}"), &["/a"]);
        }
    }
}
