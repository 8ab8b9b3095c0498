//! drctl's own folder on the target, when it is not drctl's own.

use crate::bed::Bed;
use crate::support::{ADDRESS, Lab};

#[test]
fn a_folder_that_others_could_have_prepared_is_not_used() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut bed = Bed::new(&lab, &host);
    bed.place("place", "/srv/ca.key");
    let home = "/var/lib/drctl";
    let ills = [
        ("echo mine >/var/lib/drctl", "/var/lib/drctl is not a folder"),
        ("ln -s /etc /var/lib/drctl", "/var/lib/drctl is a symbolic link"),
        ("mkdir -m 700 /var/lib/drctl; chown nosudo /var/lib/drctl", "belongs to uid"),
        ("mkdir -m 770 /var/lib/drctl; chgrp nosudo /var/lib/drctl", "can be written to by others than root"),
        ("mkdir -m 1777 /var/lib/drctl", "can be written to by others than root"),
        (
            "mkdir -m 700 /var/lib/drctl; ln -s /etc/passwd /var/lib/drctl/epoch",
            "/var/lib/drctl/epoch is a symbolic link",
        ),
        (
            "mkdir -m 700 /var/lib/drctl; ln -s /etc/passwd /var/lib/drctl/epoch.new",
            "drctl/epoch.new is a symbolic link",
        ),
        ("mkdir -m 700 /var/lib/drctl; mkdir /var/lib/drctl/x; chown nosudo /var/lib/drctl/x", "or not root's"),
    ];
    for (ill, said) in ills {
        host.sh(ill);
        bed.refused(said);
        host.sh(&format!("rm -rf {home}"));
    }
    bed.restore().expect(0);
}
