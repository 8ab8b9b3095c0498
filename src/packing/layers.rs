//! One layer within another, each bounded.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use age::armor::ArmoredReader;
use age::{DecryptError, Decryptor};

use super::{ARMOR, HEAD, Identities, Packing, PackingError};

/// zstd's window: what `zstd -19 --long=27` needs, 128 MiB; more is refused.
const WINDOW_LOG: u32 = 27;

/// An age file's header is read into memory, and anew for each of its lines: this is enough for hundreds of recipients.
const HEADER: usize = 128 << 10;

/// So is a line of its armor, which has 64 characters.
const ARMOR_LINE: usize = 4096;

/// What a layer holds, from where it was read so far.
pub(super) struct Layer<'a>(Box<dyn BufRead + Send + 'a>);

impl<'a> Layer<'a> {
    pub(super) fn outermost(input: impl BufRead + Send + 'a) -> Self {
        Self(Box::new(Whole { head: Vec::new(), read: 0, rest: input }))
    }

    /// What this layer's bytes are packed in; nothing is consumed.
    pub(super) fn packing(&mut self) -> io::Result<Option<Packing>> {
        Ok(Packing::of(self.0.fill_buf()?))
    }

    /// What is within.
    pub(super) fn open(self, packing: Packing, identities: &Identities<'_>, limit: u64) -> Result<Self, PackingError> {
        let opened: Box<dyn Read + Send + 'a> = match packing {
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(self.0)),
            Packing::Zstd => {
                let odd = |error: io::Error| PackingError::Damaged { packing, reason: error.to_string() };
                let mut decoder = zstd::stream::read::Decoder::with_buffer(self.0).map_err(odd)?;
                decoder.window_log_max(WINDOW_LOG).map_err(odd)?;
                Box::new(decoder)
            }
            Packing::Age => {
                let found = identities.all()?;
                let lines = Lines::of(self.0).map_err(|error| unopened(error.into()))?;
                let in_header = Arc::new(AtomicUsize::new(HEADER));
                let header = Header { within: ArmoredReader::new(lines), left: Arc::clone(&in_header) };
                let decryptor = Decryptor::new_buffered(header).map_err(unopened)?;
                in_header.store(usize::MAX, Ordering::Relaxed);
                if decryptor.is_scrypt() {
                    return Err(PackingError::Passphrase);
                }
                let each = found.iter().map(|identity| identity.as_ref() as &dyn age::Identity);
                Box::new(decryptor.decrypt(each).map_err(unopened)?)
            }
        };
        let bounded = Bounded { within: opened, left: limit };
        Ok(Self(Box::new(Whole { head: Vec::new(), read: 0, rest: BufReader::with_capacity(1 << 17, bounded) })))
    }
}

impl Read for Layer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

fn unopened(error: DecryptError) -> PackingError {
    let packing = Packing::Age;
    match error {
        DecryptError::NoMatchingKeys => PackingError::OtherRecipients,
        DecryptError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => PackingError::CutOff { packing },
        error => PackingError::Damaged { packing, reason: error.to_string() },
    }
}

/// More came out than is allowed.
#[derive(Debug)]
pub(super) struct Bomb;

impl std::fmt::Display for Bomb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("more comes out of it than is allowed")
    }
}

impl std::error::Error for Bomb {}

/// Ends with an error after so many bytes.
struct Bounded<R> {
    within: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.within.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(Bomb))?;
        Ok(count)
    }
}

/// Ends with an error when a header is longer than any; what comes after it is without an end.
struct Header<R> {
    within: R,
    left: Arc<AtomicUsize>,
}

impl<R: BufRead> Read for Header<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        copy(self, buffer)
    }
}

impl<R: BufRead> BufRead for Header<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other(format!("its header is longer than {HEADER} bytes")));
        }
        let available = self.within.fill_buf()?;
        Ok(&available[..available.len().min(left)])
    }

    fn consume(&mut self, count: usize) {
        let left = self.left.load(Ordering::Relaxed);
        if left != usize::MAX {
            self.left.store(left - count, Ordering::Relaxed);
        }
        self.within.consume(count);
    }
}

/// Ends with an error in a line of armor that is longer than any; what is not armored has no lines.
struct Lines<R> {
    within: R,
    armored: bool,
    line: usize,
}

impl<R: BufRead> Lines<R> {
    fn of(mut within: R) -> io::Result<Self> {
        let armored = within.fill_buf()?.starts_with(ARMOR);
        Ok(Self { within, armored, line: 0 })
    }
}

impl<R: BufRead> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        copy(self, buffer)
    }
}

impl<R: BufRead> BufRead for Lines<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let available = self.within.fill_buf()?;
        if !self.armored {
            return Ok(available);
        }
        let left = ARMOR_LINE - self.line;
        if left == 0 {
            return Err(io::Error::other(format!("a line of its armor is longer than {ARMOR_LINE} bytes")));
        }
        Ok(&available[..available.len().min(left)])
    }

    fn consume(&mut self, count: usize) {
        if self.armored
            && let Ok(available) = self.within.fill_buf()
        {
            let gone = &available[..count];
            let whole_lines = gone.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
            self.line = whole_lines.map_or(self.line + count, |lines| count - lines);
        }
        self.within.consume(count);
    }
}

fn copy(from: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let available = from.fill_buf()?;
    let count = available.len().min(buffer.len());
    buffer[..count].copy_from_slice(&available[..count]);
    from.consume(count);
    Ok(count)
}

/// A reader whose first `fill_buf` shows enough of the head, however small the pieces are that it comes in.
struct Whole<R> {
    head: Vec<u8>,
    read: usize,
    rest: R,
}

impl<R: BufRead> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        copy(self, buffer)
    }
}

impl<R: BufRead> BufRead for Whole<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read == 0 && self.head.is_empty() {
            (&mut self.rest).take(HEAD as u64).read_to_end(&mut self.head)?;
        }
        if self.read < self.head.len() { Ok(&self.head[self.read..]) } else { self.rest.fill_buf() }
    }

    fn consume(&mut self, count: usize) {
        if self.read < self.head.len() {
            self.read += count;
        } else {
            self.rest.consume(count);
        }
    }
}
