//! The rest of an object, from a byte on: only while it is what was listed.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::connect::Connection;
use crate::sources::Candidate;
use crate::sources::download::{Fetch, Fetched};

/// What a server that knows nothing of ranges is told by; it has no kind of its own.
const NO_RANGES: &str = "non-partial response";

/// An object that was listed.
pub(super) struct Object<'a> {
    pub(super) connection: &'a Connection,
    pub(super) location: &'a Path,
    pub(super) candidate: &'a Candidate,
}

#[async_trait]
impl Fetch for Object<'_> {
    async fn fetch(&self, from: u64, sink: &mut (dyn AsyncWrite + Send + Unpin)) -> Fetched {
        let options = GetOptions {
            // Weak ones are never equal to what `If-Match` asks for.
            if_match: self.candidate.tag.clone().filter(|tag| !tag.starts_with("W/")),
            range: (from > 0).then_some(GetRange::Offset(from)),
            ..GetOptions::default()
        };
        let found = match self.connection.store.get_opts(self.location, options).await {
            Ok(found) => found,
            Err(error) => return self.ended(&error),
        };
        let tag = found.meta.e_tag.as_deref().map(super::quoted);
        let same_tag = self.candidate.tag.is_none() || tag.is_none() || tag == self.candidate.tag;
        if found.meta.size != self.candidate.size || !same_tag {
            return Fetched::Changed;
        }
        let mut stream = found.into_stream();
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(bytes) => {
                    if let Err(error) = sink.write_all(&bytes).await {
                        return Fetched::Failed(error.to_string());
                    }
                }
                Err(error) => return Fetched::Part(self.connection.explain(&error)),
            }
        }
        Fetched::All
    }
}

impl Object<'_> {
    fn ended(&self, error: &Error) -> Fetched {
        let said = self.connection.explain(error);
        match error {
            Error::Precondition { .. } => Fetched::Changed,
            Error::NotSupported { .. } => Fetched::Anew,
            Error::Generic { .. } if error.to_string().contains(NO_RANGES) => Fetched::Anew,
            Error::Generic { .. } => Fetched::Part(said),
            _ => Fetched::Failed(said),
        }
    }
}
