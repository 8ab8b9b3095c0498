//! `drctl snapshot inspect`: what a snapshot holds, and of which cluster it is.

mod text;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::place::{Finder, Place};
use super::{answer, verified};
use crate::causes::chain;
use crate::cli::args::{Globals, Inspect};
use crate::cli::exit::{Exit, Fault};
use crate::packing::Packing;
use crate::pki::Certificate;
use crate::snapshot::origin::{Authority, Change, Clock, Witness};
use crate::snapshot::whole::Sha256Sum;
use crate::snapshot::{Knowledge, Verified};
use crate::sources::TimeFrom;

/// What its line of JSON is called.
pub(super) const KIND: &str = "snapshot_inspected";

/// What `drctl snapshot inspect` answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SnapshotInspected")]
pub(super) struct Answer {
    /// The file or name that was asked for.
    name: String,
    /// The file on this controller; null when it is not known any more.
    path: Option<String>,
    /// What it is packed in, outermost first; size and digest are of what is within.
    #[schemars(with = "Vec<String>")]
    packed: Vec<Packing>,
    /// The source it is from; null for a file.
    source: Option<String>,
    /// When it was taken.
    #[schemars(with = "Option<String>")]
    taken: Option<Timestamp>,
    /// What that time was read from.
    time_from: Option<TimeFrom>,
    /// Whether it is whole: `drctl snapshot verify` tells how that was found.
    whole: bool,
    /// Why it is not.
    fault: Option<String>,
    /// Its size in bytes.
    size: u64,
    /// What `sha256sum` says of the file.
    #[schemars(with = "Option<String>")]
    sha256: Option<Sha256Sum>,
    /// The newest time in the data, by the cluster's clocks.
    newest_change: Option<Newest>,
    /// The Kubernetes version: kubeadm's, or else the oldest control-plane kubelet's.
    kubernetes_version: Option<String>,
    /// The cluster's name in kubeadm's configuration.
    cluster_name: Option<String>,
    /// The certificate authorities that it shows.
    certificates: Vec<ShownCertificate>,
    #[serde(flatten)]
    knowledge: Knowledge,
}

/// The newest time in the data.
#[derive(Debug, Serialize, JsonSchema)]
struct Newest {
    /// What left it.
    clock: Clock,
    #[serde(flatten)]
    change: Change,
}

/// An authority's certificate.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownCertificate {
    /// Of what.
    of: Use,
    /// Such as `CN=kubernetes`; null when the certificate can't be read.
    subject: Option<String>,
    /// Its first moment.
    #[schemars(with = "Option<String>")]
    not_before: Option<Timestamp>,
    /// Its last moment.
    #[schemars(with = "Option<String>")]
    not_after: Option<Timestamp>,
    /// Its fingerprint.
    #[schemars(with = "String")]
    sha256: Sha256Sum,
    /// The objects that show it.
    found_in: Vec<Witness>,
}

/// What an authority is trusted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Use {
    Cluster,
    FrontProxy,
}

pub(super) async fn run(globals: &Globals, args: &Inspect) -> Result<Exit, Fault> {
    let place = Finder::new(globals).find(&args.snapshot).await?;
    let unread = |reason: &str| Fault::Snapshot {
        message: format!("`{}` cannot be read: {reason}", place.name),
        help: format!("`drctl snapshot verify {}` tells all that is wrong with it", place.name),
    };
    let mut verified = verified(&place.opened).await.map_err(|error| unread(&chain(&error)))?;
    let Some(knowledge) = verified.knowledge.take() else {
        return Err(unread(
            verified.proofs.iter().rev().find(|proof| proof.is_failed()).map_or("", |proof| &proof.said),
        ));
    };
    let found = Answer::new(place, &verified, knowledge);
    answer(globals, KIND, &found, || text::of(&found, Timestamp::now(), args.all))?;
    Ok(Exit::Done)
}

impl Answer {
    fn new(place: Place, verified: &Verified, knowledge: Knowledge) -> Self {
        let newest = knowledge.changes.iter().max_by_key(|(_, change)| change.time);
        let cluster = knowledge.authorities.iter().map(|authority| ShownCertificate::new(Use::Cluster, authority));
        let proxy = knowledge.front_proxy_authorities.iter();
        Self {
            path: place.path(),
            name: place.name,
            packed: place.opened.packed,
            source: place.source,
            taken: place.taken,
            time_from: place.time_from,
            whole: verified.whole,
            fault: verified.fault().map(str::to_owned),
            size: verified.size,
            sha256: verified.sha256,
            newest_change: newest.map(|(clock, change)| Newest { clock: *clock, change: change.clone() }),
            kubernetes_version: knowledge.kubernetes_version().map(str::to_owned),
            cluster_name: knowledge.cluster_name().map(str::to_owned),
            certificates: cluster
                .chain(proxy.map(|authority| ShownCertificate::new(Use::FrontProxy, authority)))
                .collect(),
            knowledge,
        }
    }
}

impl ShownCertificate {
    fn new(of: Use, authority: &Authority) -> Self {
        let read = Certificate::all_in(authority.pem.as_bytes()).ok().and_then(|mut all| all.pop());
        Self {
            of,
            not_before: read.as_ref().map(|certificate| certificate.not_before),
            not_after: read.as_ref().map(|certificate| certificate.not_after),
            subject: read.map(|certificate| certificate.subject),
            sha256: authority.sha256,
            found_in: authority.found_in.iter().copied().collect(),
        }
    }
}
