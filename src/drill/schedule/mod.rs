//! What rehearses regularly, as text: systemd's units, or a `CronJob` of Kubernetes.
//!
//! - [`systemd`]: for a machine that stands apart from production;
//! - [`kubernetes`]: for another cluster than those that are rehearsed.

pub mod kubernetes;
pub mod systemd;

use std::num::NonZeroUsize;
use std::path::PathBuf;

/// What is to be rehearsed, and when.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// What units and objects are called.
    pub name: String,
    /// Which inventories.
    pub what: What,
    /// `hourly`, `daily`, `weekly` or `monthly`, else as the scheduler writes it.
    pub every: String,
    /// Where journals and reports are kept.
    pub state: PathBuf,
    /// Whether drctl makes its targets of this machine's own namespaces, which is for root.
    pub namespaces: bool,
}

/// Which inventories are rehearsed.
#[derive(Debug, Clone)]
pub enum What {
    /// Those of a folder, so many at once.
    All(PathBuf, NonZeroUsize),
    /// One.
    One(PathBuf),
}

/// A file of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// A time that the scheduler does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{every}` is no time that {scheduler} knows: expected {expected}")]
pub struct NoTime {
    /// What was said.
    pub every: String,
    /// Who was to be told.
    pub scheduler: &'static str,
    /// What would do.
    pub expected: &'static str,
}

/// Where journals and reports are kept when nobody says.
pub const STATE: &str = "/var/lib/drctl";
/// Times that both schedulers know.
const COMMON: [&str; 4] = ["hourly", "daily", "weekly", "monthly"];

/// The name for what rehearses this cluster, or all of them: lower case letters, digits and hyphens, as short as
/// a `CronJob`'s must be.
pub fn name(cluster: Option<&str>) -> String {
    let Some(cluster) = cluster else { return "drctl-drill".to_owned() };
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = "drctl-drill-".chars().chain(cluster.chars().map(plain)).take(52).collect();
    name.trim_end_matches('-').to_owned()
}

/// Five fields of what cron's may hold.
fn is_cron(every: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "*/,-?".contains(c);
    every.split(' ').count() == 5 && every.split(' ').all(|field| !field.is_empty() && field.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_kubernetes_takes() {
        assert_eq!(name(None), "drctl-drill");
        assert_eq!(name(Some("Prod_EU.1")), "drctl-drill-prod-eu-1");
        assert_eq!(name(Some(&format!("{}-x", "a".repeat(39)))), format!("drctl-drill-{}", "a".repeat(39)));
    }

    #[test]
    fn cron_is_told_from_calendars() {
        for every in ["0 3 * * *", "*/15 0-6 1,15 * MON"] {
            assert!(is_cron(every), "{every}");
        }
        for every in ["daily", "Mon *-*-* 03:00:00 UTC", "0 3 * *", "0 3  * *", "0 3 * * \"x"] {
            assert!(!is_cron(every), "{every}");
        }
    }
}
