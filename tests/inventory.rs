//! Every way an inventory can be wrong, as a person sees it.

#![expect(clippy::unwrap_used, clippy::too_many_lines, reason = "whole reports of what must be there")]

use std::path::Path;

use drctl::inventory::{Inventory, LoadError, load, parse as parse_at};
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../inventory.example.toml");

const WHOLE: &str = r#"
[cluster]
name = "prod"
endpoint = "10.0.0.10:6443"

[target]
host = "cp-1"

[[snapshots]]
folder.path = "/srv/backups"

[pki]
dir = "/srv/pki"
"#;

fn parse(text: &str) -> Result<Inventory, LoadError> {
    parse_at("prod.toml", text, Path::new("/etc/drctl"))
}

fn render(error: &LoadError) -> String {
    let mut text = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut text, error)
        .unwrap();
    text
}

/// The report of the whole inventory with one text replaced by another.
fn report(of: &str, by: &str) -> String {
    assert!(WHOLE.contains(of), "{of}");
    render(&parse(&WHOLE.replacen(of, by, 1)).unwrap_err())
}

#[test]
fn a_small_inventory_is_whole() {
    parse(WHOLE).unwrap();
}

#[test]
fn an_unknown_key() {
    insta::assert_snapshot!(report("host = \"cp-1\"", "host = \"cp-1\"\nprot = 22"), @r#"
      × the inventory `prod.toml` has an error

    Error: 
      × unknown key `prot`
       ╭─[prod.toml:8:1]
     7 │ host = "cp-1"
     8 │ prot = 22
       · ──┬─
       ·   ╰── not known here
     9 │ 
       ╰────
      help: did you mean `port`?
            known here: `host`, `port`, `user`, `identity`, `identity_passphrase`, `certificate`,
            `agent`, `host_key`, `known_hosts`, `ssh_config`, `jump`, `become`, `connect_timeout`,
            `keepalive`, `reconnect_for`
    "#);
}

#[test]
fn a_wrong_type() {
    insta::assert_snapshot!(report("\"cp-1\"", "\"cp-1\"\nport = \"22\""), @r#"
      × the inventory `prod.toml` has an error

    Error: 
      × expected a whole number from 0 to 65535, found the text "22"
       ╭─[prod.toml:8:8]
     7 │ host = "cp-1"
     8 │ port = "22"
       ·        ──┬─
       ·          ╰── wrong here
     9 │ 
       ╰────
      help: write it without quotes: `22`
    "#);
}

#[test]
fn a_number_that_should_be_text() {
    insta::assert_snapshot!(report("\"prod\"", "7"), @r#"
      × the inventory `prod.toml` has an error

    Error: 
      × expected text in quotes, found the number `7`
       ╭─[prod.toml:3:8]
     2 │ [cluster]
     3 │ name = 7
       ·        ┬
       ·        ╰── wrong here
     4 │ endpoint = "10.0.0.10:6443"
       ╰────
      help: write it as text: `"7"`
    "#);
}

#[test]
fn a_number_that_is_too_great() {
    insta::assert_snapshot!(report("\"cp-1\"", "\"cp-1\"\nport = 70000"), @r#"
      × the inventory `prod.toml` has an error

    Error: 
      × expected a whole number from 0 to 65535, found the number `70000`
       ╭─[prod.toml:8:8]
     7 │ host = "cp-1"
     8 │ port = 70000
       ·        ──┬──
       ·          ╰── wrong here
     9 │ 
       ╰────
    "#);
}

#[test]
fn syntax() {
    insta::assert_snapshot!(report("\"10.0.0.10:6443\"", ""), @r#"
      × the inventory `prod.toml` has an error

    Error: 
      × not TOML: string values must be quoted
       ╭─[prod.toml:4:12]
     3 │ name = "prod"
     4 │ endpoint = 
       ·            ▲
       ·            ╰── here
     5 │ 
       ╰────
      help: write a value behind `=`; text stands in quotes: `key = "text"`
    "#);
}

#[test]
fn a_key_twice() {
    insta::assert_snapshot!(report("host = \"cp-1\"", "host = \"cp-1\"\nhost = \"cp-2\""), @r#"
      × the inventory `prod.toml` has an error

    Error: 
      × not TOML: duplicate key
       ╭─[prod.toml:8:1]
     7 │ host = "cp-1"
     8 │ host = "cp-2"
       · ──┬─
       ·   ╰── here
     9 │ 
       ╰────
      help: keep one of them; a key or table may be written once
    "#);
}

#[test]
fn missing_keys() {
    insta::assert_snapshot!(report("name = \"prod\"\nendpoint = \"10.0.0.10:6443\"", ""), @r#"
      × the inventory `prod.toml` has 2 errors

    Error: 
      × the key `name` is missing
       ╭─[prod.toml:2:1]
     1 │ 
     2 │ [cluster]
       · ────┬────
       ·     ╰── not in here
     3 │ 
       ╰────
      help: add `name`

    Error: 
      × the key `endpoint` is missing
       ╭─[prod.toml:2:1]
     1 │ 
     2 │ [cluster]
       · ────┬────
       ·     ╰── not in here
     3 │ 
       ╰────
      help: add `endpoint`
    "#);
}

#[test]
fn missing_tables() {
    insta::assert_snapshot!(render(&parse("[target]\nhost = \"cp-1\"\n").unwrap_err()), @r#"
      × the inventory `prod.toml` has 3 errors

    Error: 
      × the key `cluster` is missing
       ╭─[prod.toml:1:1]
     1 │ [target]
       · ▲
       · ╰── not in here
     2 │ host = "cp-1"
       ╰────
      help: add `cluster`

    Error: 
      × the key `snapshots` is missing
       ╭─[prod.toml:1:1]
     1 │ [target]
       · ▲
       · ╰── not in here
     2 │ host = "cp-1"
       ╰────
      help: add `snapshots`

    Error: 
      × the key `pki` is missing
       ╭─[prod.toml:1:1]
     1 │ [target]
       · ▲
       · ╰── not in here
     2 │ host = "cp-1"
       ╰────
      help: add `pki`
    "#);
}

#[test]
fn a_uid_is_one() {
    let with = |uid: &str| parse(&WHOLE.replace("[target]", &format!("uid = \"{uid}\"\n[target]")));
    with("00eb9270-6aa7-4e8c-96a9-d4a05a6be796").unwrap();
    for uid in ["00eb9270-6aa7-4e8c-96a9-d4a05a6be79", "prod", "00EB9270-6aa7-4e8c-96a9-d4a05a6be796"] {
        let told = render(&with(uid).unwrap_err());
        assert!(told.contains(&format!("`{uid}` is not a UID")), "{told}");
    }
}

#[test]
fn several_at_once() {
    let text = WHOLE
        .replace("\"prod\"", "\"../prod\"")
        .replace("\"10.0.0.10:6443\"", "\"10.0.0.10\"\nkubernetes = 1.20\nkubeadmconfig = \"kubeadm.yaml\"")
        .replace(
            "\"cp-1\"",
            "\"cp-1\"\nhost_key = \"MD5:aa\"\njump = [{ host = \"j\", jump = [{ host = \"k\" }], sudo = true }]",
        )
        .replace(
            "[pki]",
            "[policy]\nmax_snapshot_age = \"soon\"\nstep_timeout = \"0s\"\non_failure = \"stopp\"\n[pki]",
        );
    insta::assert_snapshot!(render(&parse(&text).unwrap_err()), @r#"
      × the inventory `prod.toml` has 10 errors

    Error: 
      × `../prod` cannot be a cluster's name
       ╭─[prod.toml:3:8]
     2 │ [cluster]
     3 │ name = "../prod"
       ·        ────┬────
       ·            ╰── wrong here
     4 │ endpoint = "10.0.0.10"
       ╰────
      help: use letters, digits, `-`, `_` and `.`, at most 63, and a letter or digit first

    Error: 
      × `10.0.0.10` is not `host:port`
       ╭─[prod.toml:4:12]
     3 │ name = "../prod"
     4 │ endpoint = "10.0.0.10"
       ·            ─────┬─────
       ·                 ╰── wrong here
     5 │ kubernetes = 1.20
       ╰────
      help: write `host:port`, such as `10.0.0.10:6443` or `[fd00::10]:6443`

    Error: 
      × expected text in quotes, found the number `1.2`
       ╭─[prod.toml:5:14]
     4 │ endpoint = "10.0.0.10"
     5 │ kubernetes = 1.20
       ·              ──┬─
       ·                ╰── wrong here
     6 │ kubeadmconfig = "kubeadm.yaml"
       ╰────
      help: write it as text: `"1.20"`

    Error: 
      × unknown key `kubeadmconfig`
       ╭─[prod.toml:6:1]
     5 │ kubernetes = 1.20
     6 │ kubeadmconfig = "kubeadm.yaml"
       · ──────┬──────
       ·       ╰── not known here
     7 │ 
       ╰────
      help: did you mean `kubeadm_config`?
            known here: `name`, `uid`, `endpoint`, `kubernetes`, `advertise_address`, `node_name`,
            `kubeadm_config`, `kubeadm_config_inline`, `etcd_image`, `etcdutl`, `admin_kubeconfig`

    Error: 
      × `MD5:aa` is not a host key's fingerprint
        ╭─[prod.toml:10:12]
      9 │ host = "cp-1"
     10 │ host_key = "MD5:aa"
        ·            ────┬───
        ·                ╰── wrong here
     11 │ jump = [{ host = "j", jump = [{ host = "k" }], sudo = true }]
        ╰────
      help: write `SHA256:` and 43 characters, as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`
            prints them

    Error: 
      × a jump host has jump hosts of its own
        ╭─[prod.toml:11:30]
     10 │ host_key = "MD5:aa"
     11 │ jump = [{ host = "j", jump = [{ host = "k" }], sudo = true }]
        ·                              ────────┬───────
        ·                                      ╰── wrong here
     12 │ 
        ╰────
      help: list all of them in order in the outer `jump`

    Error: 
      × unknown key `sudo`
        ╭─[prod.toml:11:48]
     10 │ host_key = "MD5:aa"
     11 │ jump = [{ host = "j", jump = [{ host = "k" }], sudo = true }]
        ·                                                ──┬─
        ·                                                  ╰── not known here
     12 │ 
        ╰────
      help: known here: `host`, `port`, `user`, `identity`, `identity_passphrase`, `certificate`,
            `agent`, `host_key`, `known_hosts`, `ssh_config`, `jump`, `become`, `connect_timeout`,
            `keepalive`, `reconnect_for`

    Error: 
      × `soon` is not a length of time
        ╭─[prod.toml:17:20]
     16 │ [policy]
     17 │ max_snapshot_age = "soon"
        ·                    ───┬──
        ·                       ╰── wrong here
     18 │ step_timeout = "0s"
        ╰────
      help: write for example `90s`, `15m`, `1h 30m` or `1d`

    Error: 
      × a limit of nothing can never be kept
        ╭─[prod.toml:18:16]
     17 │ max_snapshot_age = "soon"
     18 │ step_timeout = "0s"
        ·                ──┬─
        ·                  ╰── wrong here
     19 │ on_failure = "stopp"
        ╰────
      help: write for example `30s` or `10m`

    Error: 
      × unknown word `stopp`
        ╭─[prod.toml:19:14]
     18 │ step_timeout = "0s"
     19 │ on_failure = "stopp"
        ·              ───┬───
        ·                 ╰── not known here
     20 │ [pki]
        ╰────
      help: did you mean `stop`?
            possible: `stop`, `rollback`
    "#);
}

#[test]
fn an_unknown_source() {
    insta::assert_snapshot!(report("folder.path", "foldr.path"), @r#"
      × the inventory `prod.toml` has an error

    Error: 
      × unknown word `foldr`
        ╭─[prod.toml:10:1]
      9 │ [[snapshots]]
     10 │ foldr.path = "/srv/backups"
        · ──┬──
        ·   ╰── not known here
     11 │ 
        ╰────
      help: did you mean `folder`?
            possible: `folder`, `ssh`, `object_store`
    "#);
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(render(&parse("").unwrap_err()), @r#"
      × the inventory `prod.toml` has 4 errors

    Error: 
      × the key `cluster` is missing
       ╭─[prod.toml:1:1]
       ╰────
      help: add `cluster`

    Error: 
      × the key `target` is missing
       ╭─[prod.toml:1:1]
       ╰────
      help: add `target`

    Error: 
      × the key `snapshots` is missing
       ╭─[prod.toml:1:1]
       ╰────
      help: add `snapshots`

    Error: 
      × the key `pki` is missing
       ╭─[prod.toml:1:1]
       ╰────
      help: add `pki`
    "#);
}

#[test]
fn object_stores() {
    let cases = [
        ("url = 's3://b/p', endpoit = 'x'", "unknown key `endpoit`"),
        ("endpoint = 'https://x'", "the key `url` is missing"),
        ("url = 'b/p'", "`b/p` is not a URL"),
        ("url = 'ftp://b/p'", "`ftp` is not a kind of store"),
        ("url = 'https://u:p@host/f/'", "a URL must not hold credentials"),
        ("url = 'https://host/f.db?sig=1'", "a URL must not have a query"),
        ("url = 's3://b/p', pattern = ''", "the pattern is empty"),
        ("url = 'http://host/f/'", "shows the cluster's secrets to whoever listens"),
        ("url = 's3://b/p', endpoint = 'http://x'", "shows the cluster's secrets to whoever listens"),
        ("url = 'https://host/f/', endpoint = 'https://x'", "this URL names its server itself"),
        ("url = 'gs://b/p', region = 'x'", "only S3 has regions"),
        ("url = 's3://b/p', authorization = { env = 'X' }", "only web servers take this"),
        ("url = 'https://host/f/', authorization = { env = '' }", "this says nothing of where the secret is"),
        ("url = 's3://b/p', reconnect_for = '0s'", "a limit of nothing can never be kept"),
    ];
    for (keys, said) in cases {
        let text = report("folder.path = \"/srv/backups\"", &format!("object_store = {{ {keys} }}"));
        assert!(text.contains(said) && text.contains("has an error"), "{keys}\n{text}");
    }
    for keys in [
        "url = 's3://b/p', endpoint = 'http://127.0.0.1:9000', allow_http = true, region = 'x'",
        "url = 'http://127.0.0.1/f/', allow_http = true, authorization = 'token', ca_crt = 'ca.crt'",
        "url = 'az://c/p'",
        "url = 'file:///srv'",
    ] {
        parse(&WHOLE.replacen("folder.path = \"/srv/backups\"", &format!("object_store = {{ {keys} }}"), 1)).unwrap();
    }
}

#[test]
fn places_of_the_pki() {
    let ssh = "ssh = { server = { host = 'h' }, path = '/pki' }";
    let store = "object_store = { url = 's3://b/p' }";
    let cases = [
        ("", "nothing says where the root CA is"),
        ("dir = 'a'\nbundle = 'b'", "`dir` and `bundle` are both set"),
        (&format!("{ssh}\n{store}"), "`ssh` and `object_store` are both set"),
        ("ssh = { server = { host = 'h' }, path = 'pki' }", "`pki` is not an absolute path"),
        ("object_store = { url = 's3://b/p', pattern = 'x' }", "a pattern means nothing here"),
        ("bundle = 'b'\nencryption_config = { env = '' }", "this says nothing of where the secret is"),
    ];
    for (keys, said) in cases {
        let text = report("dir = \"/srv/pki\"", keys);
        assert!(text.contains(said), "{keys}\n{text}");
    }
    for (keys, bundle) in [
        ("bundle = 'b.age'".to_owned(), "/etc/drctl/b.age"),
        (format!("{ssh}\nbundle = 'b.age'"), "b.age"),
        (format!("{store}\nbundle = 'b.age'"), "b.age"),
    ] {
        let inventory = parse(&WHOLE.replacen("dir = \"/srv/pki\"", &keys, 1)).unwrap();
        assert_eq!(inventory.pki.bundle.as_deref(), Some(Path::new(bundle)), "{keys}");
    }
    assert!(parse(&format!("{WHOLE}[age]\nidentity = 'k'\nx = 1\n")).is_err());
    let inventory = parse(&format!("{WHOLE}[age]\nidentity = 'k'\n[policy]\nmax_unpacked_size = '1GiB'\n")).unwrap();
    assert_eq!(inventory.age.identity, Some(drctl::inventory::SecretRef::File("/etc/drctl/k".into())));
    assert_eq!(inventory.policy.max_unpacked_size.bytes(), 1 << 30);
}

#[test]
fn no_sources() {
    insta::assert_snapshot!(render(&parse(&format!("snapshots = []\n{}", WHOLE.replace("[[snapshots]]\nfolder.path = \"/srv/backups\"", ""))).unwrap_err()), @r#"
      × the inventory `prod.toml` has an error

    Error: 
      × no place to find snapshots in
       ╭─[prod.toml:1:13]
     1 │ snapshots = []
       ·             ─┬
       ·              ╰── wrong here
     2 │ 
       ╰────
      help: add `[[snapshots]]` with `folder.path = "…"`, with `ssh.server.host` and `ssh.path`, or
            with `object_store.url = "…"`
    "#);
}

#[test]
fn a_missing_file() {
    insta::assert_snapshot!(render(&load(Path::new("no/such/prod.toml")).unwrap_err()), @r#"
    × could not read the inventory `no/such/prod.toml`
    ╰─▶ No such file or directory (os error 2)
    help: check the path after `--inventory`; inventory.example.toml shows every key
    "#);
}

proptest! {
    #[test]
    fn any_text_ends_with_an_inventory_or_a_report(
        text in "(\\[cluster\\]\n|\\[\\[snapshots\\]\\]\n|host|name|jump|pki|folder|path| = |\"|'''|[\\[\\]{}=#,.0-9]|\n|.){0,40}",
    ) {
        if let Err(error) = parse(&text) {
            prop_assert!(!render(&error).is_empty());
        }
    }

    #[test]
    fn so_does_a_damaged_example(from in 0..EXAMPLE.len(), length in 0..60_usize, by in ".{0,5}") {
        let to = EXAMPLE.ceil_char_boundary((from + length).min(EXAMPLE.len()));
        let text = [&EXAMPLE[..EXAMPLE.floor_char_boundary(from)], &by, &EXAMPLE[to..]].concat();
        if let Err(error) = parse(&text) {
            prop_assert!(!render(&error).is_empty());
        }
    }
}

#[test]
fn a_file_that_is_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prod.toml");
    std::fs::write(&path, b"[cluster]\nname = \"\xff\"\n").unwrap();
    let report = render(&load(&path).unwrap_err()).replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(report, @r#"
    × the inventory `FOLDER/prod.toml` is not UTF-8 text
    help: line 2 holds bytes that are no characters: save the file as UTF-8
    "#);
}

#[test]
fn a_folder_in_place_of_a_file() {
    insta::assert_snapshot!(render(&load(Path::new("src")).unwrap_err()), @r#"
    × could not read the inventory `src`
    ╰─▶ Is a directory (os error 21)
    help: the inventory must be a file that this user may read
    "#);
}

#[test]
fn keys_that_exclude_and_need_each_other() {
    let text = WHOLE
        .replace("[target]", "kubeadm_config = \"a\"\nkubeadm_config_inline = \"b\"\n[target]")
        .replace("dir = \"/srv/pki\"", "ca_crt = \"ca.crt\"")
        .replace("\"cp-1\"", "\"cp-1:22\"\nbecome = { method = \"none\", password = { env = \"\" } }");
    insta::assert_snapshot!(render(&parse(&text).unwrap_err()), @r#"
      × the inventory `prod.toml` has 5 errors

    Error: 
      × `kubeadm_config` and `kubeadm_config_inline` are both set
       ╭─[prod.toml:7:25]
     6 │ kubeadm_config = "a"
     7 │ kubeadm_config_inline = "b"
       ·                         ─┬─
       ·                          ╰── wrong here
     8 │ [target]
       ╰────
      help: keep the one that is meant

    Error: 
      × `cp-1:22` is not a host
        ╭─[prod.toml:9:8]
      8 │ [target]
      9 │ host = "cp-1:22"
        ·        ────┬────
        ·            ╰── wrong here
     10 │ become = { method = "none", password = { env = "" } }
        ╰────
      help: write a name, an address or a `Host` of the SSH configuration; the port has its own key

    Error: 
      × this says nothing of where the secret is
        ╭─[prod.toml:10:40]
      9 │ host = "cp-1:22"
     10 │ become = { method = "none", password = { env = "" } }
        ·                                        ──────┬─────
        ·                                              ╰── wrong here
     11 │ 
        ╰────
      help: fill it in, or remove the key

    Error: 
      × nothing asks for this password
        ╭─[prod.toml:10:40]
      9 │ host = "cp-1:22"
     10 │ become = { method = "none", password = { env = "" } }
        ·                                        ──────┬─────
        ·                                              ╰── wrong here
     11 │ 
        ╰────
      help: use `method = "sudo"`, or remove the password

    Error: 
      × nothing says where the root CA is
        ╭─[prod.toml:15:1]
     14 │ 
     15 │ [pki]
        · ──┬──
        ·   ╰── wrong here
     16 │ ca_crt = "ca.crt"
        ╰────
      help: set `dir` to a folder with `ca.crt` and `ca.key`, name `ssh`, `object_store` or `bundle`,
            or set both `ca_crt` and `ca_key`
    "#);
}

#[test]
fn secrets_that_are_nowhere() {
    let by = "dir = \"/srv/pki\"\nca_key = { vault = \"x\" }\nsa_key = { env = \"A\", file = \"b\" }";
    insta::assert_snapshot!(report("dir = \"/srv/pki\"", by), @r#"
      × the inventory `prod.toml` has 2 errors

    Error: 
      × unknown key `vault`
        ╭─[prod.toml:14:10]
     13 │ dir = "/srv/pki"
     14 │ ca_key = { vault = "x" }
        ·          ───────┬───────
        ·                 ╰── not known here
     15 │ sa_key = { env = "A", file = "b" }
        ╰────
      help: known here: `file`, `env`, `command`, `prompt`

    Error: 
      × expected a path, or one of `{ file = … }`, `{ env = … }`, `{ command = […] }`, `{ prompt = … }
      │ `
        ╭─[prod.toml:15:10]
     14 │ ca_key = { vault = "x" }
     15 │ sa_key = { env = "A", file = "b" }
        ·          ────────────┬────────────
        ·                      ╰── has more, or none
        ╰────
      help: it takes exactly one
    "#);
}
