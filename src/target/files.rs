//! Files on the target: sent once, checked by digest, placed in one instant.
//!
//! A small file travels in one script. A large one first grows in drctl's own folder, under its
//! digest as its name, so that an interrupted transfer goes on from where it was. Either way the
//! destination appears by rename, with mode and owner right before the first byte was written.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, ReadBuf};

use super::patience::Patience;
use super::{BUSY, LONG, Target, TargetError, UPLOADS, component, quote, script};
use crate::hex::hex;
use crate::transport::Request;

/// What is sent within one script.
const SMALL: u64 = 256 << 10;
/// How much of a large file one script takes: what is lost of a transfer that never told its end.
const PORTION: u64 = 64 << 20;
/// What scripts ask of the way to a path before they change something there.
pub(super) const WAY: &str = include_str!("way.sh");

/// The bytes of a file to place.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// A file of the controller.
    File(&'a Path),
    /// These. They travel on standard input only.
    Bytes(&'a [u8]),
}

/// Where a file goes, and how it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its path.
    pub to: String,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub owner: Owner,
}

/// `user:group`, names or numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner(String);

/// What placing a file came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placed {
    /// Whether the same bytes with the same mode and owner were there already.
    pub same: bool,
    /// The folders above it that had to be made.
    pub created: Vec<String>,
}

impl Owner {
    /// `root:root`.
    pub fn root() -> Self {
        Self("root:root".to_owned())
    }
}

impl std::str::FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            let mut bytes = name.bytes();
            bytes.next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        };
        match text.split_once(':') {
            Some((user, group)) if is_name(user) && is_name(group) => Ok(Self(text.to_owned())),
            _ => Err(format!("`{text}` is not `user:group`")),
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What all scripts about one file are told.
struct Values {
    to: String,
    new: String,
    part: String,
    busy: String,
    mode: String,
    owner: String,
    size: String,
    sha: String,
}

impl Values {
    fn script(&self, body: &str) -> String {
        let values = [
            ("to", self.to.as_str()),
            ("new", &self.new),
            ("part", &self.part),
            ("busy", &self.busy),
            ("mode", &self.mode),
            ("owner", &self.owner),
            ("size", &self.size),
            ("sha", &self.sha),
        ];
        script(&values, &format!("{WAY}{}{body}", include_str!("files.sh")))
    }
}

impl Target {
    /// Makes a file what it is to be, at once and durably. `tell` hears of bytes done, and of how many.
    pub async fn place(
        &self,
        payload: Payload<'_>,
        place: &Place,
        tell: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Placed, TargetError> {
        check_path(&place.to)?;
        let (size, sha) = payload.measure().await?;
        let values = Values {
            to: place.to.clone(),
            new: self.new_beside(&place.to),
            part: format!("{}/{UPLOADS}/{}", self.run_folder(), component(&sha)),
            busy: format!("{}/{BUSY}", self.run_folder()),
            mode: format!("{:o}", place.mode & 0o7777),
            owner: place.owner.to_string(),
            size: size.to_string(),
            sha,
        };
        let answer = if size <= SMALL {
            self.place_small(payload, &values).await?
        } else {
            self.place_large(payload, &values, size, tell).await?
        };
        tell(size, size);
        self.read_placed(&answer, &values)
    }

    async fn place_small(&self, payload: Payload<'_>, values: &Values) -> Result<String, TargetError> {
        let text = self.fenced(&values.script(include_str!("place_small.sh")));
        let mut patience = Patience::new(self.transport().reconnect_for());
        loop {
            let mut bytes = open(payload, 0).await?;
            let request = Request { stdin: Some(&mut bytes), ..Request::new(&text) };
            match self.transport().run(request).await {
                Ok(reply) => {
                    let reply = self.changed(&format!("place `{}`", values.to), reply).await?;
                    return Ok(String::from_utf8_lossy(&reply.stdout).into_owned());
                }
                Err(error) => patience.again(error).await?,
            }
        }
    }

    async fn place_large(
        &self,
        payload: Payload<'_>,
        values: &Values,
        size: u64,
        tell: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<String, TargetError> {
        let what = format!("place `{}`", values.to);
        let mut patience = Patience::new(self.transport().reconnect_for());
        loop {
            let answer = self.change(&what, &values.script(include_str!("stage.sh"))).await?;
            let Some(have) = answer.trim().strip_prefix("have ") else { return Ok(answer) };
            let have: u64 = have.parse().map_err(|_| self.unknown_answer("how much of a file it has", &answer))?;
            if have >= size {
                return self.change(&what, &values.script(include_str!("place_staged.sh"))).await;
            }
            tell(have, size);
            match self.send(payload, &values.part, have, size, tell).await {
                Ok(()) => patience = Patience::new(self.transport().reconnect_for()),
                Err(TargetError::Transport(error)) => patience.again(error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends one portion from an offset on.
    async fn send(
        &self,
        payload: Payload<'_>,
        part: &str,
        from: u64,
        size: u64,
        tell: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(), TargetError> {
        let text = script(&[("part", part), ("from", &from.to_string())], include_str!("receive.sh"));
        let text = self.fenced(&text);
        let bytes = open(payload, from).await?.take(PORTION);
        let mut counted = Counted { bytes, done: from, size, tell };
        let request = Request { stdin: Some(&mut counted), limit: LONG, ..Request::new(&text) };
        let reply = self.transport().run(request).await?;
        self.changed("receive a file", reply).await.map(drop)
    }

    fn read_placed(&self, answer: &str, values: &Values) -> Result<Placed, TargetError> {
        let created = answer.lines().filter_map(|line| line.strip_prefix("created ")).map(str::to_owned).collect();
        match answer.lines().last() {
            Some("same") => Ok(Placed { same: true, created }),
            Some("placed") => Ok(Placed { same: false, created }),
            Some(line) if line.starts_with("digest ") => Err(TargetError::Digest {
                host: self.host().to_owned(),
                path: values.to.clone(),
                expected: values.sha.clone(),
                found: line["digest ".len()..].to_owned(),
            }),
            _ => Err(self.unknown_answer("how placing a file went", answer)),
        }
    }

    /// Why paths cannot be changed safely: they are no such paths, or others than root could lead them elsewhere.
    pub async fn unsafe_paths(&self, paths: &[String]) -> Result<Vec<String>, TargetError> {
        let (mut reasons, mut arguments) = (Vec::new(), String::new());
        for path in paths {
            match check_path(path) {
                Ok(()) => arguments.extend([" ", &quote(path)]),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        let body = format!("set --{arguments}\n{WAY}for path; do (safe_way \"$path\") 2>&1; done | sort -u");
        let answer = self.ask("look at the ways to what is to be changed", &body).await?;
        reasons.extend(answer.lines().map(str::to_owned));
        Ok(reasons)
    }

    /// The SHA-256 of a file, hexadecimal; `None` when there is no such file.
    pub async fn digest(&self, path: &str) -> Result<Option<String>, TargetError> {
        let body = format!("{}if [ -f \"$to\" ]; then digest \"$to\"; fi", include_str!("files.sh"));
        let answer = self.ask(&format!("read `{path}`"), &script(&[("to", path)], &body)).await?;
        match answer.trim() {
            "" => Ok(None),
            hex if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(Some(hex.to_owned())),
            _ => Err(self.unknown_answer("the digest of a file", &answer)),
        }
    }

    /// The first bytes of a file, up to a limit of at most a MiB; `None` when there is no such file.
    pub async fn read_file(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, TargetError> {
        let values = [("path", path), ("limit", &limit.to_string())];
        let body = "[ -f \"$path\" ] || exit 3\nhead -c \"$limit\" -- \"$path\"";
        let reply = self.look(&script(&values, body)).await?;
        if reply.status == 3 {
            return Ok(None);
        }
        Ok(Some(self.succeeded(&format!("read `{path}`"), reply)?.stdout))
    }
}

/// Linux takes 4095 bytes, and names next to the path are longer than its own.
const LONGEST_PATH: usize = 3900;
/// Linux takes no longer name.
const LONGEST_NAME: usize = 255;

/// A path that may be changed: absolute, plain, not the root itself.
pub(super) fn check_path(path: &str) -> Result<(), TargetError> {
    let wrong = |reason| Err(TargetError::Path { path: path.to_owned(), reason });
    let Some(rest) = path.strip_prefix('/') else { return wrong("it is not absolute") };
    if rest.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return wrong("it has empty parts, `.` or `..`");
    }
    if path.contains(['\0', '\n']) {
        return wrong("it has a NUL or a line end in it");
    }
    if path.len() > LONGEST_PATH || path.split('/').any(|name| name.len() > LONGEST_NAME) {
        return wrong("it is longer than 3900 bytes, or a name in it longer than 255");
    }
    Ok(())
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

async fn open(payload: Payload<'_>, from: u64) -> Result<Box<dyn AsyncRead + Send + Unpin + '_>, TargetError> {
    match payload {
        Payload::Bytes(bytes) => {
            let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
            Ok(Box::new(&bytes[from..]))
        }
        Payload::File(path) => {
            let opened = async {
                let mut file = tokio::fs::File::open(path).await?;
                file.seek(io::SeekFrom::Start(from)).await?;
                Ok(file)
            };
            Ok(Box::new(opened.await.map_err(|error| unreadable(path, &error))?))
        }
    }
}

impl Payload<'_> {
    /// Its size, and its SHA-256 in hexadecimal.
    async fn measure(self) -> Result<(u64, String), TargetError> {
        let mut from = open(self, 0).await?;
        let mut sha = Sha256::new();
        let mut size = 0;
        let mut block = vec![0; 1 << 20];
        loop {
            let read = from.read(&mut block).await.map_err(|error| match self {
                Payload::File(path) => unreadable(path, &error),
                Payload::Bytes(_) => unreadable(Path::new("-"), &error),
            })?;
            if read == 0 {
                break;
            }
            size += read as u64;
            sha.update(&block[..read]);
        }
        Ok((size, hex(&sha.finalize())))
    }
}

fn unreadable(path: &Path, error: &io::Error) -> TargetError {
    TargetError::Local { path: path.display().to_string(), reason: error.to_string() }
}

/// Bytes that tell how many of them are gone.
struct Counted<'a, R> {
    bytes: R,
    done: u64,
    size: u64,
    tell: &'a (dyn Fn(u64, u64) + Sync),
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<'_, R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = to.filled().len();
        let poll = Pin::new(&mut self.bytes).poll_read(cx, to);
        if poll.is_ready() {
            self.done += (to.filled().len() - before) as u64;
            (self.tell)(self.done, self.size);
        }
        poll
    }
}
