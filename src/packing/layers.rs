//! One layer within another, each bounded.

use std::io::{self, BufRead, BufReader, Read};

use age::armor::ArmoredReader;
use age::{DecryptError, Decryptor};

use super::{HEAD, Identities, Packing, PackingError};

/// zstd's window: what `zstd -19 --long=27` needs, 128 MiB; more is refused.
const WINDOW_LOG: u32 = 27;

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
                let decryptor = Decryptor::new_buffered(ArmoredReader::new(self.0)).map_err(unopened)?;
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

/// A reader whose first `fill_buf` shows enough of the head, however small the pieces are that it comes in.
struct Whole<R> {
    head: Vec<u8>,
    read: usize,
    rest: R,
}

impl<R: BufRead> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
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
