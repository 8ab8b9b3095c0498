//! Whole runs against this machine's own `sh`, over a link that can be cut. Needs root, as a target does.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempDir;

use super::*;
use crate::event::Direction;
use crate::target::{Claim, JobState, Keep};
use crate::transport::{Local, Reply, Request, Stream, Transport, TransportError};

/// The way to this machine, while it is there.
#[derive(Debug, Default)]
struct Link {
    away: AtomicBool,
    made: AtomicU64,
    reconnect_for: Duration,
    /// What scripts find programs in first.
    programs: Mutex<String>,
}

impl Link {
    async fn there(&self) -> Result<(), TransportError> {
        let since = tokio::time::Instant::now();
        while self.away.load(Ordering::SeqCst) {
            if since.elapsed() >= self.reconnect_for {
                let source = std::io::ErrorKind::TimedOut.into();
                return Err(TransportError::Connect { host: "localhost".to_owned(), port: 22, source });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn cut(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    fn mend(&self) {
        self.made.fetch_add(1, Ordering::SeqCst);
        self.away.store(false, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Transport for Link {
    fn host(&self) -> &'static str {
        "localhost"
    }

    async fn run(&self, request: Request<'_>) -> Result<Reply, TransportError> {
        self.there().await?;
        let script = format!("PATH='{}':$PATH\n{}", self.programs.lock().unwrap(), request.script);
        let reply = Local.run(Request { script: script.leak(), ..request }).await;
        // What was said while the link was cut is never heard.
        self.there().await?;
        reply
    }

    async fn open_tcp(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, TransportError> {
        self.there().await?;
        Local.open_tcp(host, port).await
    }

    fn reconnect_for(&self) -> Duration {
        self.reconnect_for
    }

    fn connections(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }
}

/// Keeps what happened, and has its answers ready.
#[derive(Debug, Default)]
struct Person {
    answers: Mutex<Vec<bool>>,
    asked: Mutex<Vec<String>>,
    happened: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl Listener for Person {
    fn record(&self, record: &Record) {
        let event = serde_json::to_value(&record.data).unwrap();
        self.happened.lock().unwrap().push(event["event"].as_str().unwrap().to_owned());
    }

    fn live(&self, _: &Live) {}

    async fn confirm(&self, question: &str) -> Option<bool> {
        self.asked.lock().unwrap().push(question.to_owned());
        self.answers.lock().unwrap().pop()
    }
}

/// A run of one step named `it`, on a target in a folder.
struct Bed {
    root: TempDir,
    link: Arc<Link>,
    person: Arc<Person>,
    engine: Engine,
}

impl Bed {
    /// `${run.at}` is the folder of what the step does.
    async fn new(step: &str, reconnect_for: Duration) -> Self {
        let root = tempfile::tempdir().unwrap();
        let inventory = "[cluster]\nname = \"a\"\nendpoint = \"10.0.0.1:6443\"\nnode_name = \"cp-1\"\n\
                         [target]\nhost = \"h\"\n[[snapshots]]\nfolder.path = \"/b\"\n[pki]\ndir = \"/p\"\n";
        let inventory = crate::inventory::parse("test", inventory, Path::new("/")).unwrap();
        let step = step.replace("AT", root.path().to_str().unwrap());
        let playbook = format!("name = \"t\"\ndescription = \"A test.\"\n[[step]]\nname = \"it\"\n{step}");
        let playbook = crate::playbook::parse("test", &playbook, &inventory).unwrap();
        let link = Arc::new(Link { reconnect_for, ..Link::default() });
        let target = Target::new(link.clone(), "r").at(root.path().join("drctl").to_str().unwrap());
        target.acquire(Claim { controller: "me", user: "root", take_over: None }).await.unwrap();
        let header = header(&playbook);
        let mut journal = Journal::create(&root.path().join("journal.ndjson")).unwrap();
        journal.append(Event::RunStarted(Box::new(header.clone()))).unwrap();
        let person = Arc::new(Person::default());
        let run = Run {
            inventory: Arc::new(inventory),
            playbook: Arc::new(playbook),
            target: Arc::new(target),
            facts: Arc::new(Facts::bare()),
            snapshot: Arc::new(chosen()),
            pki: Arc::new(PkiFiles::default()),
            values: Values::new(),
            cache: root.path().join("cache"),
            listener: person.clone(),
            stop: CancellationToken::new(),
        };
        let engine = Engine { grace: Duration::ZERO, ..Engine::new(run, journal, RunState::begun(header)) };
        Self { root, link, person, engine }
    }

    /// The same, taken up after its first process ended while the step was under way.
    async fn taken_up(step: &str) -> Self {
        let mut bed = Self::new(step, Duration::ZERO).await;
        let direction = Direction::Forward;
        let it = || "it".to_owned();
        for event in [
            Event::StepStarted { step: it(), attempt: 1 },
            Event::StepKept { step: it() },
            Event::Resumed { direction },
        ] {
            bed.engine.note(event).unwrap();
        }
        bed
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root.path().join(name)).unwrap_or_default()
    }

    /// What the first command wrote takes two seconds to sync. Whether that has begun is told by the file `syncing`, and which
    /// signals came meanwhile by `signals`.
    fn syncs_slowly(&self) {
        let (at, programs) = (self.root.path().display(), self.root.path().join("programs"));
        fs::create_dir(&programs).unwrap();
        let sync = format!(
            "#!/bin/sh
             PATH=${{PATH#*:}}
             if [ \"$*\" = '-f /' ] && [ ! -e {at}/syncing ]; then
                 trap 'echo TERM >>{at}/signals' TERM
                 echo $$ >{at}/new
                 mv {at}/new {at}/syncing
                 n=0
                 until [ $n = 20 ]; do sleep 0.1; n=$((n + 1)); done
             fi
             exec sync \"$@\"\n"
        );
        fs::write(programs.join("sync"), sync).unwrap();
        fs::set_permissions(programs.join("sync"), fs::Permissions::from_mode(0o755)).unwrap();
        programs.to_str().unwrap().clone_into(&mut self.link.programs.lock().unwrap());
    }

    /// Works until the command of the step has ended and what it wrote is being synced, and is interrupted then.
    async fn interrupted_while_it_syncs(&mut self) {
        let (stop, syncing) = (self.engine.run.stop.clone(), self.root.path().join("syncing"));
        let stopping = async {
            while !fs::exists(&syncing).unwrap() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            stop.cancel();
        };
        let (left, ()) = tokio::join!(self.engine.work(), stopping);
        assert_eq!(left.unwrap(), Left::Interrupted);
        self.engine.run.stop = CancellationToken::new();
    }

    /// What happened to the step, in order.
    fn events(&self) -> String {
        self.person.happened.lock().unwrap().join(" ")
    }

    /// The job of the first attempt, as a target shows it that was started anew since.
    fn broken_off(&self) {
        let job = self.root.path().join("drctl/r/it/1-apply");
        fs::create_dir_all(&job).unwrap();
        fs::write(job.join("started"), "another boot\n").unwrap();
        fs::write(job.join("alive"), "").unwrap();
    }
}

fn header(playbook: &Playbook) -> crate::event::RunHeader {
    let mut header = model::header(1);
    header.run = "r".to_owned();
    header.steps[0].name = playbook.steps[0].name.clone();
    header
}

fn chosen() -> Chosen {
    Chosen {
        name: "s.db".to_owned(),
        source: "here".to_owned(),
        path: "/s.db".into(),
        size: 0,
        sha256: String::new(),
        taken: jiff::Timestamp::UNIX_EPOCH,
        time_from: crate::sources::TimeFrom::Name,
        claims: crate::snapshot::Claims::default(),
        packed: Vec::new(),
        plain: None,
        copy: None,
    }
}

const RESTORED: Left = Left::Ended(Ending::Restored);

/// Works, and cuts the link once the step has begun; it comes back after a while, or never.
async fn work_through_a_cut(bed: &mut Bed, back_after: Option<Duration>) -> Left {
    let (link, begun) = (Arc::clone(&bed.link), bed.root.path().join("begun"));
    let cutting = async {
        while !fs::exists(&begun).unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        link.cut();
        if let Some(after) = back_after {
            tokio::time::sleep(after).await;
            link.mend();
        }
    };
    let (left, ()) = tokio::join!(bed.engine.work(), cutting);
    left.unwrap()
}

/// Ends by itself within its limit, while nobody can see it.
const COMMAND: &str = "action = \"command\"\nrun = \"echo x >>AT/begun; sleep 0.5\"\ntimeout = \"3s\"";
/// Only looks.
const WAIT: &str =
    "action = \"wait_for\"\ncommand = \": >AT/begun; [ -e AT/there ]\"\nevery = \"100ms\"\ntimeout = \"1s\"";

#[tokio::test]
async fn a_link_that_is_away_for_longer_than_a_steps_limit_is_not_the_steps_failure() {
    let mut bed = Bed::new(COMMAND, Duration::from_mins(1)).await;
    assert_eq!(work_through_a_cut(&mut bed, Some(Duration::from_secs(4))).await, RESTORED);
    assert_eq!(bed.events(), "step_started step_kept step_done finished");
    assert_eq!(bed.read("begun"), "x\n", "it was followed, not begun again");

    let mut bed = Bed::new(WAIT, Duration::from_mins(1)).await;
    let there = bed.root.path().join("there");
    let coming = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        fs::write(there, "").unwrap();
    };
    let (left, ()) = tokio::join!(work_through_a_cut(&mut bed, Some(Duration::from_secs(2))), coming);
    assert_eq!(left, RESTORED);
    assert_eq!(bed.events(), "step_started step_kept step_done finished");
}

#[tokio::test]
async fn a_link_that_stays_away_leaves_the_run_at_its_checkpoint() {
    let mut bed = Bed::new(WAIT, Duration::from_secs(2)).await;
    let left = work_through_a_cut(&mut bed, None).await;
    assert!(matches!(left, Left::LostContact { .. }), "{left:?}");
    assert_eq!(bed.events(), "step_started step_kept stopped");
}

#[tokio::test]
async fn a_limit_that_passes_over_a_whole_link_is_the_steps_failure() {
    let mut bed = Bed::new(WAIT, Duration::ZERO).await;
    let left = bed.engine.work().await.unwrap();
    assert!(matches!(left, Left::Failed { .. }), "{left:?}");
}

#[tokio::test]
async fn a_verify_has_the_steps_limit_and_can_be_interrupted() {
    const HANGS: &str =
        "action = \"command\"\nrun = \"true\"\nverify = \": >AT/begun; exec sleep 1000\"\ntimeout = \"3s\"";
    let mut bed = Bed::new(HANGS, Duration::ZERO).await;
    let Left::Failed { error, .. } = bed.engine.work().await.unwrap() else { panic!("it did not fail") };
    assert_eq!(error, "step `it` did not end within 3s");
    assert!(fs::exists(bed.root.path().join("begun")).unwrap(), "its verify was asked");

    let hangs_longer = HANGS.replace("3s", "1h");
    for mut bed in [Bed::new(&hangs_longer, Duration::ZERO).await, Bed::taken_up(&hangs_longer).await] {
        let (stop, begun) = (bed.engine.run.stop.clone(), bed.root.path().join("begun"));
        let stopping = async {
            while !fs::exists(&begun).unwrap() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            stop.cancel();
        };
        let (left, ()) = tokio::join!(bed.engine.work(), stopping);
        assert_eq!(left.unwrap(), Left::Interrupted);
    }
}

/// Nothing tells whether it happened.
const BLIND: &str = "action = \"command\"\nrun = \"echo x >>AT/log\"";

#[tokio::test]
async fn what_nobody_can_tell_is_asked_and_only_a_yes_counts() {
    for (answers, events, log) in [
        ([true].as_slice(), "step_done finished", ""),
        ([true, false].as_slice(), "undo_started undo_done step_started step_kept step_done finished", "x\n"),
        ([false, false].as_slice(), "stopped", ""),
        ([].as_slice(), "stopped", ""),
    ] {
        let mut bed = Bed::taken_up(BLIND).await;
        bed.broken_off();
        bed.person.answers.lock().unwrap().extend(answers);
        let left = bed.engine.work().await.unwrap();
        assert_eq!(bed.events(), format!("step_started step_kept resumed {events}"), "{answers:?}");
        assert_eq!(bed.read("log"), log, "{answers:?}");
        assert_eq!(matches!(left, Left::Unknown { .. }), events == "stopped", "{left:?}");
        let asked = bed.person.asked.lock().unwrap()[0].clone();
        insta::allow_duplicates! {
            insta::assert_snapshot!(asked, @"
            Nobody wrote down whether step `it` happened: the command was interrupted, and the step has no `verify`.
            Look at the target: did it?
            ");
        }
    }
}

#[tokio::test]
async fn a_command_that_never_began_is_begun_without_a_question() {
    let mut bed = Bed::taken_up(BLIND).await;
    assert_eq!(bed.engine.work().await.unwrap(), RESTORED);
    assert_eq!(bed.read("log"), "x\n");
    assert!(bed.person.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_target_that_cannot_be_let_go_is_not_out_of_reach() {
    let mut bed = Bed::taken_up(BLIND).await;
    bed.engine.note(Event::RollbackStarted { reason: String::new() }).unwrap();
    let kept = bed.root.path().join("drctl/r/other/aside");
    fs::create_dir_all(&kept).unwrap();
    let Left::CannotEnd { error } = bed.engine.work().await.unwrap() else { panic!("it is another ending") };
    assert!(error.contains("other/aside is not put back"), "{error}");
    // Once that is mended, the run ends.
    fs::remove_dir(&kept).unwrap();
    assert_eq!(bed.engine.work().await.unwrap(), Left::Ended(Ending::RolledBack));
}

#[tokio::test]
async fn a_condition_that_was_decided_when_the_run_began_stays_decided() {
    let unset = format!("when = \"pki.sa.key\"\n{BLIND}");
    for (holds, events) in [
        (Some(true), "step_started step_kept step_done finished"),
        (Some(false), "step_skipped finished"),
        (None, "step_skipped finished"),
    ] {
        let mut bed = Bed::new(&unset, Duration::ZERO).await;
        bed.engine.state.header.steps[0].holds = holds;
        assert_eq!(bed.engine.work().await.unwrap(), RESTORED);
        assert_eq!(bed.events(), events);
    }
}

#[tokio::test]
async fn a_step_that_was_undone_may_be_skipped() {
    let mut bed = Bed::taken_up(&format!("when = \"pki.sa.key\"\n{BLIND}")).await;
    assert_eq!(bed.engine.work().await.unwrap(), RESTORED);
    assert_eq!(bed.events(), "step_started step_kept resumed undo_started undo_done step_skipped finished");
}

#[tokio::test]
async fn a_file_that_had_the_same_bytes_all_along_is_placed_with_its_mode() {
    const PLACES: &str = "action = \"place_file\"\nsource = \"AT/source\"\nto = \"AT/it\"\nmode = \"0600\"";
    for linked in [false, true] {
        let mut bed = Bed::taken_up(PLACES).await;
        let at = |name: &str| bed.root.path().join(name);
        fs::write(at("source"), "a key").unwrap();
        let there = at(if linked { "elsewhere" } else { "it" });
        fs::write(&there, "a key").unwrap();
        fs::set_permissions(&there, fs::Permissions::from_mode(0o644)).unwrap();
        if linked {
            symlink(&there, at("it")).unwrap();
        }
        let placed = at("it");
        bed.engine.run.target.set_aside("it", &[Keep::copied(placed.display().to_string())]).await.unwrap();
        assert_eq!(bed.engine.work().await.unwrap(), RESTORED);
        let about = fs::symlink_metadata(&placed).unwrap();
        assert!(about.is_file() && about.permissions().mode() & 0o7777 == 0o600, "{about:?}");
    }
}

#[tokio::test]
async fn a_steps_limit_does_not_count_the_time_that_its_files_are_synced_for() {
    let limited = format!("{BLIND}\nverify = \"sleep 0.5\"\ntimeout = \"1s\"");
    let mut bed = Bed::new(&limited, Duration::ZERO).await;
    bed.syncs_slowly();
    assert_eq!(bed.engine.work().await.unwrap(), RESTORED);
    assert_eq!(bed.events(), "step_started step_kept step_done finished");
}

#[tokio::test]
async fn an_undo_waits_for_what_a_command_wrote_to_be_synced_and_ends_nothing() {
    let mut bed = Bed::new(&format!("{BLIND}\nundo = \"echo undone >>AT/log\""), Duration::ZERO).await;
    bed.syncs_slowly();
    bed.interrupted_while_it_syncs().await;
    bed.engine.note(Event::RollbackStarted { reason: String::new() }).unwrap();

    // It can be left, too.
    bed.engine.run.stop.cancel();
    let left = bed.engine.undo(0).await;
    assert!(matches!(left, Err(Halt::Left(Left::Interrupted))));
    bed.engine.run.stop = CancellationToken::new();

    assert_eq!(bed.engine.work().await.unwrap(), Left::Ended(Ending::RolledBack));
    assert_eq!((bed.read("log").as_str(), bed.read("signals").as_str()), ("x\nundone\n", ""));
}

/// The command ended, with status 0; but what it wrote may be lost.
#[tokio::test]
async fn a_job_that_was_broken_off_while_its_files_were_synced_is_no_success() {
    let mut bed = Bed::new(BLIND, Duration::ZERO).await;
    bed.syncs_slowly();
    bed.interrupted_while_it_syncs().await;
    let target = Arc::clone(&bed.engine.run.target);
    // Its start may still be under way.
    while target.job_state("it", 1, "apply").await.unwrap() == JobState::Running {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(target.job_state("it", 1, "apply").await.unwrap(), JobState::Syncing);
    let job = bed.root.path().join("drctl/r/it/1-apply");
    let wrapper = fs::read_to_string(job.join("pid")).unwrap();
    let off = format!("kill -9 {} {}", wrapper.trim(), bed.read("syncing").trim());
    target.ask("switch it off", &off).await.unwrap();
    while target.job_state("it", 1, "apply").await.unwrap() == JobState::Syncing {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(target.job_state("it", 1, "apply").await.unwrap(), JobState::Lost);
    fs::write(job.join("started"), "another boot\n").unwrap();
    assert_eq!(target.job_state("it", 1, "apply").await.unwrap(), JobState::Rebooted);
}

/// Changes two files; its undo leaves a trace.
const TOUCHES: &str = "action = \"command\"\nrun = \"true\"\nverify = \"true\"\nundo = \"echo x >>AT/log\"\n\
                       touches = [\"AT/one\", \"AT/two\"]";

/// A run that came so far, and is being rolled back.
async fn rolled_back_after(forwards: &[Event], back: Option<Event>) -> Bed {
    let mut bed = Bed::new(TOUCHES, Duration::ZERO).await;
    let turned = [Event::RollbackStarted { reason: String::new() }];
    for event in forwards.iter().chain(&turned).cloned().chain(back) {
        bed.engine.note(event).unwrap();
    }
    bed
}

fn it() -> String {
    "it".to_owned()
}

fn begun() -> Vec<Event> {
    vec![Event::StepStarted { step: it(), attempt: 1 }, Event::StepKept { step: it() }]
}

fn done() -> Vec<Event> {
    [begun(), vec![Event::StepDone { step: it(), outputs: Values::new() }]].concat()
}

/// Nothing of the step is undone, since that would leave neither the new nor the old; however often it is asked for.
#[tokio::test]
async fn what_was_kept_and_is_gone_is_never_called_rolled_back() {
    let undoing = |leaves_mark| Some(Event::UndoStarted { step: it(), leaves_mark });
    let failed = [begun(), vec![Event::StepFailed { step: it(), error: String::new() }]].concat();
    for (forwards, back) in [(begun(), None), (done(), None), (failed, None), (done(), undoing(true))] {
        let mut bed = rolled_back_after(&forwards, back).await;
        for _ in 0..2 {
            let Left::NeedsPerson { error, .. } = bed.engine.work().await.unwrap() else { panic!("{forwards:?}") };
            assert!(error.contains("/r/it/aside`") && error.contains("cannot be put back"), "{error}");
            bed.engine.note(Event::Resumed { direction: Direction::Back }).unwrap();
        }
        assert_eq!(bed.read("log"), "");
        // A person's word for it.
        fs::create_dir_all(bed.root.path().join("drctl/r/it/aside.back")).unwrap();
        assert_eq!(bed.engine.work().await.unwrap(), Left::Ended(Ending::RolledBack));
    }
    // An undo of before 0.1.0 may have put it back without a mark.
    let mut bed = rolled_back_after(&done(), undoing(false)).await;
    assert_eq!(bed.engine.work().await.unwrap(), Left::Ended(Ending::RolledBack));
}

#[tokio::test]
async fn a_part_that_is_gone_is_noticed_before_anything_is_undone() {
    let mut bed = rolled_back_after(&done(), None).await;
    let at = |name: &str| bed.root.path().join(name);
    let [one, two] = ["one", "two"].map(|name| at(name).to_str().unwrap().to_owned());
    fs::write(&one, "old").unwrap();
    fs::write(&two, "old").unwrap();
    bed.engine.run.target.set_aside("it", &[Keep::copied(&one), Keep::copied(&two)]).await.unwrap();
    fs::write(&two, "new").unwrap();
    let (data, away) = (at("drctl/r/it/aside/1/data"), at("away"));
    fs::rename(&data, &away).unwrap();
    for _ in 0..2 {
        let Left::NeedsPerson { error, .. } = bed.engine.work().await.unwrap() else { panic!("it is another ending") };
        let gone = format!("less:\n  | {one} cannot be put back: {}/it, where it was kept, is gone", data.display());
        assert!(error.ends_with(&gone), "{error}");
        assert_eq!((bed.read("log"), bed.read("two")), (String::new(), "new".to_owned()));
        let kept = bed.engine.kept().await.unwrap();
        let told: Vec<_> = kept.iter().map(|kept| (kept.path.as_str(), kept.gone)).collect();
        assert_eq!(told, [(one.as_str(), true), (two.as_str(), false)]);
        bed.engine.note(Event::Resumed { direction: Direction::Back }).unwrap();
    }
    fs::rename(&away, &data).unwrap();
    assert_eq!(bed.engine.work().await.unwrap(), Left::Ended(Ending::RolledBack));
    assert_eq!((bed.read("log"), bed.read("two")), ("x\n".to_owned(), "old".to_owned()));
}

/// What failed while it was being kept is kept before it counts as done, whatever its `verify` says of what was there.
#[tokio::test]
async fn what_could_not_be_kept_is_kept_when_the_run_is_taken_up() {
    let mut bed = Bed::new(TOUCHES, Duration::ZERO).await;
    for event in [
        Event::StepStarted { step: it(), attempt: 1 },
        Event::StepFailed { step: it(), error: String::new() },
        Event::Resumed { direction: Direction::Forward },
    ] {
        bed.engine.note(event).unwrap();
    }
    assert_eq!(bed.engine.work().await.unwrap(), RESTORED);
    assert_eq!(bed.events(), "step_started step_failed resumed step_kept step_done finished");
    assert!(fs::exists(bed.root.path().join("drctl/r/it/aside")).unwrap());
}

/// Before 0.1.0 it was done all the same: it changed nothing, and nothing of it is missed.
#[tokio::test]
async fn what_was_done_without_having_been_kept_is_undone_without() {
    let mut events = done();
    events[1] = Event::StepFailed { step: it(), error: String::new() };
    events.insert(2, Event::Resumed { direction: Direction::Forward });
    let mut bed = rolled_back_after(&events, None).await;
    assert_eq!(bed.engine.work().await.unwrap(), Left::Ended(Ending::RolledBack));
}
