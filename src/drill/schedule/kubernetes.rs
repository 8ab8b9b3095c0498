//! A `CronJob` of Kubernetes, whose inventories are in a Secret, and whose reports are kept on a volume.

use super::{COMMON, NoTime, Schedule, Scheduled, What, is_cron};

/// Where the Secret's files are in the pod.
const INVENTORIES: &str = "/etc/drctl";
/// Who drctl is when it need not be root.
const NOBODY: u32 = 65532;

/// The object. `image` has drctl and what the provider needs.
pub fn cron_job(schedule: &Schedule, image: &str) -> Result<Scheduled, NoTime> {
    let every = &schedule.every;
    let when = match every.as_str() {
        common if COMMON.contains(&common) => format!("@{common}"),
        macro_ if macro_.strip_prefix('@').is_some_and(|name| COMMON.contains(&name)) => every.clone(),
        cron if is_cron(cron) => every.clone(),
        _ => {
            return Err(NoTime {
                every: every.clone(),
                scheduler: "Kubernetes",
                expected: "`hourly`, `daily`, `weekly`, `monthly`, or cron's five fields such as `0 3 * * 0`",
            });
        }
    };
    let (named, from) = match &schedule.what {
        What::All(dir, parallel) => {
            (format!("--all, {INVENTORIES}, --parallel, {}", quoted(&parallel.to_string())), dir.display().to_string())
        }
        What::One(file) => {
            let inside = format!("{INVENTORIES}/{}", file.file_name().unwrap_or_default().to_string_lossy());
            (format!("--inventory, {}", quoted(&inside)), file.display().to_string())
        }
    };
    let fields = Fields { name: &schedule.name, when: &quoted(&when), named: &named, image: &quoted(image) };
    let text =
        format!("{}{}{}", head(&fields, &from), pod(schedule.namespaces), containers(&fields, schedule.namespaces));
    Ok(Scheduled { name: format!("{}.yaml", schedule.name), text })
}

/// What is said in several places.
struct Fields<'a> {
    name: &'a str,
    when: &'a str,
    named: &'a str,
    image: &'a str,
}

fn head(fields: &Fields<'_>, from: &str) -> String {
    let Fields { name, when, .. } = fields;
    let from = from.replace(char::is_control, " ");
    format!(
        "\
# This belongs on another cluster than those that it rehearses: a drill must be possible when they are gone, and must not
# be able to reach them. It needs, in its namespace:
# - the Secret `{name}` with the inventory files, and the files that they name by relative paths, from {from}:
#     kubectl create secret generic {name} --from-file=FOLDER
# - the PersistentVolumeClaim `{name}`, for journals, reports, and what is known of targets that were left;
# - the image: drctl, and what the provider needs.
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
  labels:
    app.kubernetes.io/name: drctl
spec:
  schedule: {when}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 3600
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      # A drill that failed is a result, not a hiccup.
      backoffLimit: 0
      activeDeadlineSeconds: 21600
      template:
        metadata:
          labels:
            app.kubernetes.io/name: drctl
        spec:
          restartPolicy: Never
          automountServiceAccountToken: false
          enableServiceLinks: false
          # drctl takes its targets away when it is told to stop.
          terminationGracePeriodSeconds: 300
"
    )
}

/// What the pod's processes are.
fn pod(namespaces: bool) -> String {
    if namespaces {
        return String::new();
    }
    format!(
        "          securityContext:
            runAsNonRoot: true
            runAsUser: {NOBODY}
            runAsGroup: {NOBODY}
            fsGroup: {NOBODY}
            seccompProfile:
              type: RuntimeDefault
"
    )
}

fn containers(fields: &Fields<'_>, namespaces: bool) -> String {
    let Fields { name, named, image, .. } = fields;
    let mode = if namespaces { "0400" } else { "0440" };
    let (sweep, drill) = (
        container("sweep", image, "drill, sweep", namespaces),
        container("drill", image, &format!("drill, {named}"), namespaces),
    );
    format!(
        "          # What a drill left that was cut short. If it cannot be taken away, the Job fails here: it may run and cost.
          initContainers:
{sweep}          containers:
{drill}          volumes:
            - name: inventories
              secret:
                secretName: {name}
                defaultMode: {mode}
            - name: state
              persistentVolumeClaim:
                claimName: {name}
            - name: tmp
              emptyDir: {{}}
"
    )
}

fn container(name: &str, image: &str, args: &str, namespaces: bool) -> String {
    let security = if namespaces {
        "              # The inventories' provider makes network, mount and pid namespaces and cgroups.
              securityContext:
                privileged: true
"
    } else {
        "              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop: [ALL]
"
    };
    format!(
        "            - name: {name}
              image: {image}
              command: [drctl]
              args: [{args}]
              env:
                - name: DRCTL_STATE
                  value: {state}
{security}              volumeMounts:
                - name: inventories
                  mountPath: {INVENTORIES}
                  readOnly: true
                - name: state
                  mountPath: {state}
                - name: tmp
                  mountPath: /tmp
",
        state = super::STATE
    )
}

/// JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
