//! Out of the way, and back: what makes every step one that can be undone.
//!
//! What is kept is written down first, in `<run>/<step>/aside/`, one numbered folder for each path:
//! what it was, how it is kept and where, which folders above it were missing, the times of those
//! that were not. Moving is a rename on the same file system; in a mount point, whose folder cannot
//! be renamed, it is one for each entry. Copies go into drctl's own folder. Once all of it is back, `aside` has become the
//! empty folder `aside.back`: who undoes the step again is told that from what was removed by hand.

use std::fmt::Write;

use super::files::{WAY, check_path};
use super::{BUSY, LATER, Target, TargetError, UPLOADS, component, quote, script};

/// What the scripts share that read what was written down of kept paths.
const KEPT: &str = include_str!("kept.sh");

/// A path that a step may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// The path.
    pub path: String,
    /// How it is kept.
    pub how: How,
}

/// How a path is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Out of the way: the step finds nothing there.
    Move,
    /// As it is: the step works on what was there, and a copy is put back.
    Copy,
    /// What it leads to, as a copy; nothing, when it is no link.
    Linked,
}

/// Something that is kept on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The step's name, as its folder spells it: [`Target::is_of`] tells whose it is.
    pub step: String,
    /// The path that it was.
    pub path: String,
    /// How it is kept.
    pub how: How,
    /// Where it is now; nothing when there was nothing at the path.
    pub stored: Option<String>,
    /// Whether somebody removed it from there.
    pub gone: bool,
}

/// What is still there of what a step kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StillKept {
    /// Nothing is, nor a mark that it was put back.
    Nothing,
    /// All of it was put back.
    Back,
    /// It is there, apart from what somebody removed, in a line for each.
    Except {
        /// What is gone.
        gone: Vec<String>,
    },
}

impl Keep {
    /// The path is moved out of the way.
    pub fn moved(path: impl Into<String>) -> Self {
        Self { path: path.into(), how: How::Move }
    }

    /// The path is copied; of a link, the link.
    pub fn copied(path: impl Into<String>) -> Self {
        Self { path: path.into(), how: How::Copy }
    }

    /// What the path leads to is copied, when it is a link: a step that works on the path changes that.
    pub fn linked(path: impl Into<String>) -> Self {
        Self { path: path.into(), how: How::Linked }
    }
}

impl How {
    const fn word(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Copy => "copy",
            Self::Linked => "linked",
        }
    }
}

impl Target {
    /// Keeps the paths, once: what a step kept already stays as it was kept.
    pub async fn set_aside(&self, step: &str, keeps: &[Keep]) -> Result<(), TargetError> {
        let text = self.set_aside_script(step, keeps)?;
        self.change("set aside what is there", &text).await.map(drop)
    }

    /// Puts back what the step kept: bytes, modes, owners and times as before, absent paths absent again.
    pub async fn put_back(&self, step: &str) -> Result<(), TargetError> {
        self.change("put back what was set aside", &self.put_back_script(step)).await.map(drop)
    }

    pub(super) fn set_aside_script(&self, step: &str, keeps: &[Keep]) -> Result<String, TargetError> {
        let mut body = format!("{}begin\n", include_str!("set_aside.sh"));
        for keep in keeps {
            check_path(&keep.path)?;
            let new = quote(self.new_beside(&keep.path));
            let _infallible = writeln!(body, "note {} {} {new}", keep.how.word(), quote(&keep.path));
        }
        body.push_str("finish\n");
        Ok(self.aside_script(step, &body))
    }

    pub(super) fn put_back_script(&self, step: &str) -> String {
        self.aside_script(step, include_str!("put_back.sh"))
    }

    /// What is still there of what the step kept: looks only.
    pub async fn still_kept(&self, step: &str) -> Result<StillKept, TargetError> {
        let text = self.aside_script(step, include_str!("still_kept.sh"));
        let answer = self.ask("look at what was set aside", &text).await?;
        let mut lines = answer.lines();
        match lines.next() {
            Some("nothing") => Ok(StillKept::Nothing),
            Some("back") => Ok(StillKept::Back),
            Some("kept") => Ok(StillKept::Except { gone: lines.map(str::to_owned).collect() }),
            _ => Err(self.unknown_answer("what is set aside", &answer)),
        }
    }

    /// The folder of what the step keeps.
    pub fn aside_folder(&self, step: &str) -> String {
        format!("{}/aside", self.step_folder(step))
    }

    /// What the run keeps on the target and has not put back: after a success it stays there.
    pub async fn asides(&self) -> Result<Vec<Aside>, TargetError> {
        let values = [("run", self.run_folder())];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        let body = format!("{KEPT}{}", include_str!("asides.sh"));
        let answer = self.ask("list what is set aside", &script(&values, &body)).await?;
        let lines: Vec<&str> = answer.lines().collect();
        lines.chunks(2).map(|lines| self.read_aside(lines)).collect()
    }

    /// Whether something is kept for this step.
    pub fn is_of(&self, aside: &Aside, step: &str) -> bool {
        aside.step == component(step)
    }

    fn read_aside(&self, lines: &[&str]) -> Result<Aside, TargetError> {
        let read = || {
            let [about, stored] = lines else { return None };
            let mut fields = about.splitn(4, '\t');
            let how = match fields.next()? {
                "move" => How::Move,
                "copy" => How::Copy,
                _ => return None,
            };
            let gone = match fields.next()? {
                "there" => false,
                "gone" => true,
                _ => return None,
            };
            let stored = (!stored.is_empty()).then(|| (*stored).to_owned());
            Some(Aside { how, step: fields.next()?.to_owned(), path: fields.next()?.to_owned(), stored, gone })
        };
        read().ok_or_else(|| self.unknown_answer("what is set aside", &lines.join("\n")))
    }

    /// Removes what only the run itself needed; what is set aside stays.
    pub async fn tidy(&self) -> Result<(), TargetError> {
        // A run whose steps kept and sent nothing has no folder.
        let body = "rm -rf -- \"$passing\" \"$uploads\" || exit\n[ ! -d \"$run\" ] || sync -f \"$run\"";
        let run = self.run_folder();
        let values = [("passing", self.passing_folder()), ("uploads", format!("{run}/{UPLOADS}")), ("run", run)];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.change("remove what only the run needed", &script(&values, body)).await.map(drop)
    }

    /// Removes the run's folder, once all of it is put back: for the runs before it, it never was.
    pub async fn discard(&self) -> Result<(), TargetError> {
        let values = [("run", self.run_folder()), ("later", LATER.to_owned())];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        let body = include_str!("discard.sh");
        self.change("remove the run's folder", &script(&values, body)).await.map(drop)
    }

    fn aside_script(&self, step: &str, body: &str) -> String {
        let values = [
            ("aside", self.aside_folder(step)),
            ("hidden", self.hidden(step)),
            ("busy", format!("{}/{BUSY}", self.run_folder())),
        ];
        script(&values.each_ref().map(|(name, value)| (*name, value.as_str())), &format!("{WAY}{KEPT}{body}"))
    }
}
