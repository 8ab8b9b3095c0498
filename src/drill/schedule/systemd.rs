//! A service that rehearses once, and the timer that starts it.

use std::path::Path;

use super::{NoTime, STATE, Schedule, Scheduled, What, is_cron};

/// The units. `program` is where drctl is.
pub fn units(schedule: &Schedule, program: &Path) -> Result<[Scheduled; 2], NoTime> {
    let every = &schedule.every;
    // systemd itself reads the expression; what is caught here would end the line, or is for somebody else.
    if every.trim().is_empty() || every.contains(char::is_control) || is_cron(every) {
        return Err(NoTime {
            every: every.clone(),
            scheduler: "systemd",
            expected: "`daily`, or an expression such as `Sun *-*-* 03:00:00`; `systemd-analyze calendar` explains one",
        });
    }
    let unit = |kind: &str, text| Scheduled { name: format!("{}.{kind}", schedule.name), text };
    Ok([unit("service", service(schedule, program)), unit("timer", timer(schedule))])
}

fn service(schedule: &Schedule, program: &Path) -> String {
    let (about, arguments) = match &schedule.what {
        What::All(dir, parallel) => {
            (format!("of every cluster in {}", dir.display()), format!("--all {} --parallel {parallel}", word(dir)))
        }
        What::One(file) => (format!("of {}", file.display()), format!("--inventory {}", word(file))),
    };
    let about = about.replace('%', "%%").replace('\\', "\\\\");
    // The program itself is no place for variables.
    let program = word(program).replace("$$", "$");
    let state = &schedule.state;
    let kept = if state == Path::new(STATE) {
        "StateDirectory=drctl\nStateDirectoryMode=0700\n".to_owned()
    } else {
        String::new()
    };
    let environment = word(Path::new(&format!("DRCTL_STATE={}", state.display()))).replace("$$", "$");
    format!(
        "\
# A machine that drills stands apart from the cluster that it rehearses: it must be there when that is not.
[Unit]
Description=Disaster-recovery drill {about}
Wants=network-online.target
After=network-online.target time-sync.target
# A drill that fails fails this unit. Say here who is told:
# OnFailure=

[Service]
Type=oneshot
Environment={environment}
{kept}UMask=0077
# What a drill left that the machine's own end cut short. If it cannot go, the drill goes on, and the last line says so.
ExecStartPre=-{program} drill sweep
ExecStart={program} drill {arguments}
ExecStopPost={program} drill sweep
TimeoutStartSec=6h
# drctl takes its targets away when it is told to stop; what it started is not told, so that it can.
KillMode=mixed
TimeoutStopSec=5min

# A throwaway target of namespaces needs root, mounts and cgroups, and inherits what is forbidden here: it must still be like
# the machine that it stands for. So only that is forbidden which no namespace keeps from this machine: its clock, its
# kernel and its hardware's ports. Nothing here gives the service a mount namespace of its own, so that a sweep sees the
# mounts of a drill.
SystemCallFilter=~@clock @module @raw-io kexec_load kexec_file_load
SystemCallErrorNumber=EPERM
LockPersonality=yes
RestrictRealtime=yes
KeyringMode=private
"
    )
}

fn timer(schedule: &Schedule) -> String {
    let every = schedule.every.replace('%', "%%");
    format!(
        "\
[Unit]
Description=When {name}.service rehearses

[Timer]
OnCalendar={every}
# Not at the minute when all machines do something; and soon after the machine was off at the time.
RandomizedDelaySec=30min
Persistent=true

[Install]
WantedBy=timers.target
",
        name = schedule.name
    )
}

/// A path as a word of a command line of a unit.
fn word(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%").replace('$', "$$");
    let plain = |c: char| c.is_alphanumeric() || "/._-%$=:@+,".contains(c);
    if text.chars().all(plain) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_they_were() {
        assert_eq!(word(Path::new("/etc/drctl/prod.toml")), "/etc/drctl/prod.toml");
        assert_eq!(word(Path::new("/a b/50%\"$x\\")), r#""/a b/50%%\"$$x\\""#);
    }

    #[test]
    fn times_of_others_are_refused() {
        for every in ["", "0 3 * * *", "daily\nUser=x"] {
            let schedule = Schedule {
                name: "x".to_owned(),
                what: What::One("/x".into()),
                every: every.to_owned(),
                state: STATE.into(),
                namespaces: true,
            };
            assert!(units(&schedule, Path::new("/x")).is_err(), "{every}");
        }
    }
}
