//! Symbolic links on the target: those that anybody could plant, and those of its owner.

use crate::bed::Bed;
use crate::support::{ADDRESS, Host, Lab};

/// A folder of an unprivileged user, with a link of that user's in it, and one that everybody can write to.
fn planted(host: &Host<'_>) {
    host.sh("set -e; mkdir /srv/app; chown nosudo /srv/app; mkdir -m 777 /srv/open
         setpriv --reuid=nosudo --clear-groups ln -s /etc /srv/app/conf");
}

#[test]
fn nothing_is_done_through_what_an_unprivileged_user_planted() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    planted(&host);
    let mut bed = Bed::new(&lab, &host);
    let planted = "/conf is a symbolic link that uid";
    let source = lab.write("upload", "uploaded");
    for (action, lines) in [
        ("place_file", "pki = \"ca.key\"\nto = \"/srv/app/conf/passwd\"\nmode = \"0600\"".to_owned()),
        ("upload", format!("source = \"{source}\"\nto = \"/srv/app/conf/new/passwd\"")),
        ("command", "run = \"true\"\ntouches = [\"/srv/app/conf/passwd\"]".to_owned()),
    ] {
        bed.steps.clear();
        bed.step("it", action, &lines);
        bed.refused(planted);
    }
    bed.steps.clear();
    bed.restore_etcd("/srv/app/conf/etcd");
    bed.refused(planted);
    bed.steps.clear();
    bed.place("it", "/srv/open/ca.key");
    bed.refused("/srv/open can be written to by everybody");
    // By way of a link of root's.
    host.sh("ln -s /srv/app /data");
    bed.steps.clear();
    bed.place("it", "/data/conf/passwd");
    bed.refused(planted);
}

/// What is planted after the checks: while a command of the playbook runs.
#[test]
fn what_is_planted_during_the_run_is_not_followed_either() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut bed = Bed::new(&lab, &host);
    host.sh("mkdir /srv/app; chown nosudo /srv/app");
    let etc = host.tree(&["/etc"]);
    bed.step("plant", "command", "run = \"setpriv --reuid=nosudo --clear-groups ln -s /etc /srv/app/conf\"");
    bed.place("it", "/srv/app/conf/passwd");
    let ran = bed.restore().expect(4);
    assert!(ran.stderr.contains("/srv/app/conf is a symbolic link that uid"), "{}", ran.stderr);
    assert_eq!(host.tree(&["/etc"]), etc);
    bed.rollback().expect(0);
    assert_eq!(host.tree(&["/etc"]), etc);
    assert_eq!(host.sh("ls /var/lib/drctl"), "epoch\nmutex\n");

    // A link in place of a folder that was kept: putting back would go through it.
    host.sh("rm /srv/app/conf; setpriv --reuid=nosudo --clear-groups mkdir /srv/app/conf");
    bed.steps.clear();
    bed.place("it", "/srv/app/conf/passwd");
    bed.restore().expect(0);
    host.sh("setpriv --reuid=nosudo --clear-groups sh -c 'mv /srv/app/conf /srv/app/gone; ln -s /etc /srv/app/conf'");
    let ran = bed.rollback().expect(5);
    assert!(ran.stderr.contains("/srv/app/conf is a symbolic link that uid"), "{}", ran.stderr);
    assert_eq!(host.tree(&["/etc"]), etc);
    host.sh("rm /srv/app/conf; mv /srv/app/gone /srv/app/conf");
    bed.rollback().expect(0);
    assert_eq!(host.sh("ls -A /srv/app/conf"), "");
}

/// Where everybody may make files, and the sticky bit keeps them from renaming others'.
#[test]
fn names_that_drctl_will_use_may_be_taken_already() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut bed = Bed::new(&lab, &host);
    host.sh("setpriv --reuid=nosudo --clear-groups ln -s /etc/passwd /var/tmp/ca.key; mkdir /srv/etcd; echo old >/srv/etcd/x");
    let passwd = host.tree(&["/etc/passwd"]);
    let before = bed.tree();
    bed.step("wait", "command", "run = \"[ -e /root/planted ]\"");
    bed.place("place", "/var/tmp/ca.key");
    bed.restore_etcd("/srv/etcd");
    bed.restore().expect(4);
    let run = lab.run_id();
    host.sh(&format!(
        "set -e; setpriv --reuid=nosudo --clear-groups ln -s /etc/passwd /var/tmp/.drctl-{run}.ca.key.new
         ln -s /etc/passwd /srv/.drctl-{run}.etcd.new; ln -s /etc/passwd /srv/.drctl-{run}.restore-etcd.1; : >/root/planted"
    ));
    let ran = lab.drctl(&["resume"]).expect(4);
    let said = format!("/srv/.drctl-{run}.restore-etcd.1 is there already, where /srv/etcd would be kept");
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    assert_eq!(host.sh("stat -c '%F %a %U' /var/tmp/ca.key; cat /srv/etcd/x"), "regular file 600 root\nold\n");
    host.sh(&format!("rm /srv/.drctl-{run}.restore-etcd.1"));
    lab.drctl(&["resume"]).expect(0);
    assert_eq!(host.tree(&["/etc/passwd"]), passwd);
    host.sh("[ -s /srv/etcd/member/snap/db ] && rm /root/planted");
    bed.rollback().expect(0);
    assert_eq!(bed.tree(), before);
}

#[test]
fn links_of_the_targets_owner_lead_where_they_should_and_all_of_it_comes_back() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    host.sh(
        "set -e; mkdir -p /data/etcd/member /data/kubernetes /data/pki /secure
         echo old >/data/etcd/member/db; echo old >/data/kubernetes/old.conf; echo old >/data/pki/ca.crt; echo old >/secure/ca.key
         chmod 700 /data/etcd; touch -d 2001-01-01 /data/kubernetes/old.conf
         ln -s /data/etcd /var/lib/etcd; ln -s ../data/kubernetes /etc/kubernetes; ln -s /data/pki /data/kubernetes/pki
         ln -s /secure/ca.key /data/pki/ca.key",
    );
    let secure = host.tree(&["/secure"]);
    let mut bed = Bed::new(&lab, &host);
    let before = bed.tree();
    bed.place("ca-key", "/etc/kubernetes/pki/ca.key");
    bed.restore_etcd("/var/lib/etcd");
    let wreck = "run = \"cd /etc/kubernetes && echo new >old.conf && echo new >new.conf && echo new >pki/ca.crt\"\n\
                 touches = [\"/etc/kubernetes\", \"/etc/kubernetes/pki\"]";
    bed.step("wreck", "command", wreck);
    bed.restore().expect(0);

    host.sh("set -e; [ -L /var/lib/etcd ]; [ -L /etc/kubernetes ]; [ -L /data/kubernetes/pki ]; [ -s /data/etcd/member/snap/db ]");
    assert_eq!(host.sh("stat -c '%F %a %U' /data/pki/ca.key"), "regular file 600 root\n");
    assert_eq!(host.tree(&["/secure"]), secure, "the file that a destination was a link to is not overwritten");
    bed.rollback().expect(0);
    assert_eq!(bed.tree(), before);
    assert_eq!(host.tree(&["/secure"]), secure);
}

#[test]
fn a_data_folder_of_ones_own_that_is_a_link_is_refused() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    host.sh("mkdir /srv/disk; ln -s disk /srv/etcd");
    let mut bed = Bed::new(&lab, &host);
    bed.restore_etcd("/srv/etcd");
    bed.refused("`data_dir` is /srv/etcd, a symbolic link to /srv/disk");
}

#[test]
fn links_to_nowhere_and_files_in_the_way_are_told() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut bed = Bed::new(&lab, &host);
    bed.place("ca-key", "/etc/kubernetes/pki/ca.key");
    for (ill, said) in [
        ("ln -s /nowhere /etc/kubernetes", "/etc/kubernetes is in the way"),
        ("echo mine >/etc/kubernetes", "/etc/kubernetes is in the way"),
        ("mkdir /etc/kubernetes; ln -s nowhere /etc/kubernetes/pki", "/etc/kubernetes/pki is in the way"),
        ("mkdir -p /etc/kubernetes/pki/ca.key/x", "/etc/kubernetes/pki/ca.key is a folder"),
    ] {
        host.sh(ill);
        let before = bed.tree();
        let ran = bed.restore().expect(4);
        assert!(ran.stderr.contains(said), "expected `{said}`: {}", ran.stderr);
        bed.rollback().expect(0);
        assert_eq!(bed.tree(), before);
        host.sh("rm -rf /etc/kubernetes");
    }
}
