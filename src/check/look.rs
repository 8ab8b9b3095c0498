//! Asks everybody once: the sources, the files of the PKI, the target, the control-plane address.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::timeout;

use crate::actions::Loopback;
use crate::engine::{Listener, chain};
use crate::event::Live;
use crate::inventory::{Inventory, ListenFrom, PkiFiles, Secret};
use crate::pki_set::{self, encryption};
use crate::playbook::Playbook;
use crate::sources::{self, Search, SourceError, Unpack};
use crate::target::{Facts, Heard, Holder, Target, TargetError, listen};
use crate::text::Values;
use crate::transport::{Ssh, TransportError};

/// What a playbook usually changes, and drctl's own folder.
pub const PATHS: &[&str] =
    &[crate::target::HOME, "/etc/kubernetes", "/etc/kubernetes/pki", "/var/lib/etcd", "/var/lib/kubelet"];

/// How long a tunnel of a step is tried: who forbids it says so at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Contents by kubeadm's names, or why a file could not be read.
pub type PkiContents = Vec<(String, Result<Secret, String>)>;

/// Everything that was seen.
#[derive(Debug)]
pub struct Look {
    /// The inventory.
    pub inventory: Arc<Inventory>,
    /// The playbook.
    pub playbook: Arc<Playbook>,
    /// What names stand for before the first step.
    pub values: Values,
    /// The newest valid snapshot, and those that were passed over.
    pub snapshot: Result<Search, SourceError>,
    /// The files of the certificate authorities.
    pub pki: Arc<PkiFiles>,
    /// The contents of those that were found, by kubeadm's name; or why not.
    pub pki_contents: PkiContents,
    /// The target, or why it cannot be used.
    pub target: Result<TargetLook, TargetError>,
    /// Who answered at the addresses of the old control plane.
    pub answers: Vec<Answer>,
    /// Whether a restore is about to begin, or somebody only asks whether it could.
    pub purpose: Purpose,
    /// The controller's clock.
    pub now: Timestamp,
}

/// What a look is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To know whether a recovery would work, perhaps beside the living cluster.
    Ask,
    /// To begin one.
    Restore,
}

/// The target and what was gathered on it.
#[derive(Debug)]
pub struct TargetLook {
    /// The target; not locked.
    pub target: Arc<Target>,
    /// What was gathered.
    pub facts: Arc<Facts>,
    /// The target's clock less the controller's, in seconds.
    pub skew: f64,
    /// Who holds the target, and whether that one is live, when somebody does.
    pub holder: Option<(Holder, bool)>,
    /// What steps would reach of its loopback and its SSH server forbids, with its words.
    pub forbidden: BTreeMap<Loopback, String>,
}

/// An address of the old control plane, and what was heard there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `host:port`.
    pub address: String,
    /// What came of asking.
    pub heard: Heard,
}

/// Looks everywhere at once.
pub async fn look(
    inventory: Arc<Inventory>,
    playbook: Arc<Playbook>,
    cache: &Path,
    run: &str,
    purpose: Purpose,
    listener: Arc<dyn Listener>,
) -> Look {
    let unpack = Unpack::from(inventory.as_ref());
    // Only a source on another host has bytes to tell of, and then a person wants to see them.
    let tell = move |done, total| listener.live(&Live::Bytes { step: String::new(), done, total });
    let (snapshot, (pki, pki_contents), (target, answers)) = tokio::join!(
        sources::newest(&inventory.sources, cache, &unpack, &tell),
        read_pki(&inventory),
        look_at_target_and_around(&inventory, run),
    );
    let mut values = inventory.values();
    values.extend(pki.values());
    values.insert("run.id".to_owned(), run.to_owned());
    if let Ok(search) = &snapshot {
        values.extend(search.chosen.values());
        values.extend(encryption::value(&pki, &inventory.cluster, &search.chosen.claims));
    }
    if let Ok(target) = &target {
        values.extend(target.facts.values());
    }
    let now = Timestamp::now();
    let mut look = Look { inventory, playbook, values, snapshot, pki, pki_contents, target, answers, purpose, now };
    // Which port is the API server's only the snapshot tells.
    let forbidden = forbidden(&look).await;
    if let Ok(target) = &mut look.target {
        target.forbidden = forbidden;
    }
    look
}

/// Where the steps' tunnels will lead: that nothing listens there yet is no matter.
async fn forbidden(look: &Look) -> BTreeMap<Loopback, String> {
    let Ok(TargetLook { target, .. }) = &look.target else { return BTreeMap::new() };
    let transport = target.transport();
    let tried = look.tunnels().into_iter().map(async |to| {
        let opened = timeout(PATIENCE, transport.open_tcp(&to.host, to.port)).await;
        // A link that was lost says nothing of what is allowed.
        let Ok(Err(error @ TransportError::Forward { tried: false, .. })) = opened else { return None };
        Some((to, error.to_string()))
    });
    join_all(tried).await.into_iter().flatten().collect()
}

/// The set, wherever it is, and the contents of its files by their names.
pub(crate) async fn read_pki(inventory: &Inventory) -> (Arc<PkiFiles>, PkiContents) {
    let pki = pki_set::gather(inventory).await;
    let contents = read_files(&pki).await;
    (Arc::new(pki), contents)
}

/// The contents of the files that were found.
pub(crate) async fn read_files(pki: &PkiFiles) -> PkiContents {
    let mut contents = Vec::new();
    for file in pki.found() {
        contents.push((file.name.to_owned(), file.source.read().await.map_err(|error| chain(&error))));
    }
    contents
}

async fn look_at_target(inventory: &Inventory, run: &str) -> Result<TargetLook, TargetError> {
    let ssh = Ssh::new(&inventory.target)?;
    let target = Target::new(Arc::new(ssh), run);
    let before = Timestamp::now().as_duration().as_secs_f64();
    let facts = target.facts(PATHS).await?;
    let after = Timestamp::now().as_duration().as_secs_f64();
    // It was read at some time between: what a slow target needs to answer is no fault of its clock.
    let skew = facts.clock - facts.clock.clamp(before, after.max(before));
    let holder = target.holder().await?;
    Ok(TargetLook { skew, facts: Arc::new(facts), target: Arc::new(target), holder, forbidden: BTreeMap::new() })
}

async fn look_at_target_and_around(inventory: &Inventory, run: &str) -> (Result<TargetLook, TargetError>, Vec<Answer>) {
    match inventory.fencing.listen_from {
        ListenFrom::Controller => tokio::join!(look_at_target(inventory, run), probe(inventory, None)),
        ListenFrom::Target => match look_at_target(inventory, run).await {
            Ok(look) => {
                let answers = probe(inventory, Some(&look.target)).await;
                (Ok(look), answers)
            }
            // Who cannot be asked has heard nothing, and the target is a finding of its own.
            Err(error) => (Err(error), Vec::new()),
        },
    }
}

async fn probe(inventory: &Inventory, through: Option<&Target>) -> Vec<Answer> {
    let addresses = std::iter::once(&inventory.cluster.endpoint).chain(&inventory.fencing.must_not_answer);
    let asked = addresses.map(async |address| {
        let heard = listen(address, through).await.unwrap_or_else(|error| Heard::Unasked(chain(&error)));
        Answer { address: address.clone(), heard }
    });
    join_all(asked).await
}
