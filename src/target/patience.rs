//! How often and how long a lost connection is tried again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::transport::TransportError;

/// Tries of one request: transient failures are worth another until time is up.
#[derive(Debug)]
pub(super) struct Patience {
    whole: Duration,
    until: Option<Instant>,
    pause: Duration,
}

impl Patience {
    pub(super) fn new(whole: Duration) -> Self {
        Self { whole, until: None, pause: Duration::from_millis(200) }
    }

    /// Waits before another try, or gives the error back when another would not help. How long a host that is away is
    /// looked for is the transport's business: a connection that cannot be made is final here.
    pub(super) async fn again(&mut self, error: TransportError) -> Result<(), TransportError> {
        let until = *self.until.get_or_insert_with(|| Instant::now() + self.whole);
        if !matches!(error, TransportError::Lost { .. }) || Instant::now() >= until {
            return Err(error);
        }
        tracing::debug!(%error, "trying again");
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(5));
        Ok(())
    }
}
