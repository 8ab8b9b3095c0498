//! Whether something answers at an address: two control planes of one cluster destroy its data.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use super::shell::script;
use super::{Target, TargetError};
use crate::inventory::split_endpoint;
use crate::transport::TransportError;

/// An address that keeps its caller waiting this long is silent.
const SILENCE: Duration = Duration::from_secs(2);
/// For a name's addresses: several name servers may have to be asked.
const LOOKUP: Duration = Duration::from_secs(20);

/// What came of asking an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A connection was accepted.
    Answer,
    /// Nothing accepts connections there.
    Silence,
    /// It could not be asked, and why: that is no silence.
    Unasked(String),
}

/// Asks `host:port`, from the controller, or from the target. Of a name every address is asked. An error is the way to the
/// target's.
pub async fn listen(address: &str, through: Option<&Target>) -> Result<Heard, TargetError> {
    match through {
        None => Ok(from_here(address).await),
        Some(target) => from_there(address, target).await,
    }
}

async fn from_here(address: &str) -> Heard {
    let addresses: Vec<SocketAddr> = match timeout(LOOKUP, lookup_host(address)).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Heard::Unasked(format!("its name cannot be resolved: {error}")),
        Err(_) => return Heard::Unasked(format!("its name is not resolved within {}s", LOOKUP.as_secs())),
    };
    let asked = addresses.into_iter().map(|address| timeout(SILENCE, TcpStream::connect(address)));
    let accepted = join_all(asked).await.into_iter().any(|answer| matches!(answer, Ok(Ok(_))));
    if accepted { Heard::Answer } else { Heard::Silence }
}

async fn from_there(address: &str, target: &Target) -> Result<Heard, TargetError> {
    let Some((host, port)) = split_endpoint(address) else {
        return Ok(Heard::Unasked("it is no address with a port".to_owned()));
    };
    let addresses = match host.parse::<IpAddr>() {
        Ok(_) => BTreeSet::from([host.to_owned()]),
        Err(_) => match resolve(host, target).await? {
            Ok(addresses) => addresses,
            Err(reason) => return Ok(Heard::Unasked(reason)),
        },
    };
    let heard = try_join_all(addresses.iter().map(|address| ask(address, port, target))).await?;
    let answer = heard.iter().find(|heard| **heard == Heard::Answer);
    let telling = answer.or_else(|| heard.iter().find(|heard| **heard != Heard::Silence));
    Ok(telling.cloned().unwrap_or(Heard::Silence))
}

/// A name's addresses as the target knows them, or why it knows none. Its SSH server says of a name without addresses just
/// what it says of a silent one.
async fn resolve(name: &str, target: &Target) -> Result<Result<BTreeSet<String>, String>, TargetError> {
    let limit = LOOKUP.as_secs().to_string();
    let body = "timeout \"$limit\" getent ahosts \"$name\"";
    let reply = target.look(&script(&[("limit", &limit), ("name", name)], body)).await?;
    let lines = String::from_utf8_lossy(&reply.stdout);
    let addresses: BTreeSet<String> =
        lines.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    if addresses.is_empty() {
        let said = String::from_utf8_lossy(&reply.stderr);
        let said = said.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
        return Ok(Err(format!("its name cannot be resolved on {}{said}", target.host())));
    }
    Ok(Ok(addresses))
}

/// What a link that is away holds back is no silence: the target has to have heard the question, and to answer still when
/// nothing came of it.
async fn ask(address: &str, port: u16, target: &Target) -> Result<Heard, TargetError> {
    let transport = target.transport();
    loop {
        let links = target.connections();
        let waited = async {
            target.reach().await?;
            sleep(SILENCE).await;
            target.reach().await
        };
        // What the target said before its last answer has arrived before it.
        tokio::select! {
            biased;
            opened = transport.open_tcp(address, port) => match opened {
                Ok(_) => return Ok(Heard::Answer),
                Err(TransportError::Forward { tried: true, .. }) => return Ok(Heard::Silence),
                Err(error) if error.is_transient() => target.reach().await?,
                Err(error) => return Ok(Heard::Unasked(error.to_string())),
            },
            waited = waited => {
                waited?;
                if target.connections() == links {
                    return Ok(Heard::Silence);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::time::Instant;

    use super::*;
    use crate::transport::{Reply, Request, Stream, Transport};

    /// A host where one address answers and another refuses; all others are silent.
    #[derive(Debug)]
    struct Far {
        /// Nothing passes the link before.
        back: Instant,
        /// Whether the first question is lost with its connection.
        cut: bool,
        gone: bool,
        asked: AtomicU64,
        names: BTreeMap<&'static str, &'static str>,
    }

    const ANSWERS: &str = "10.0.0.1:6443";
    const REFUSES: &str = "10.0.0.2:6443";
    const SILENT: &str = "10.0.0.3:6443";

    #[async_trait::async_trait]
    impl Transport for Far {
        fn host(&self) -> &'static str {
            "far"
        }

        async fn run(&self, request: Request<'_>) -> Result<Reply, TransportError> {
            tokio::time::sleep_until(self.back).await;
            if self.gone {
                return Err(TransportError::Lost { host: "far".to_owned(), reason: "gone".to_owned() });
            }
            let asked = self.names.iter().find(|(name, _)| request.script.contains(*name));
            let stdout = asked.map(|(_, addresses)| addresses.as_bytes().to_vec()).unwrap_or_default();
            Ok(Reply { status: if stdout.is_empty() { 2 } else { 0 }, stdout, stderr: Vec::new() })
        }

        async fn open_tcp(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, TransportError> {
            tokio::time::sleep_until(self.back).await;
            let first = self.asked.fetch_add(1, Ordering::SeqCst) == 0;
            match format!("{host}:{port}").as_str() {
                _ if self.gone || self.cut && first => pending().await,
                ANSWERS => Ok(Box::new(tokio::io::duplex(1).0)),
                REFUSES => Err(TransportError::Forward {
                    host: "far".to_owned(),
                    to: host.to_owned(),
                    tried: true,
                    reason: "connecting failed".to_owned(),
                }),
                _ => pending().await,
            }
        }

        fn reconnect_for(&self) -> Duration {
            Duration::ZERO
        }

        fn connections(&self) -> u64 {
            if self.cut { self.asked.load(Ordering::SeqCst).min(1) } else { 0 }
        }
    }

    fn far() -> Far {
        let names =
            [("dual", "10.0.0.3  STREAM dual\n10.0.0.3  DGRAM\n10.0.0.1  STREAM\n"), ("dead", "10.0.0.2 STREAM\n")];
        Far { back: Instant::now(), cut: false, gone: false, asked: AtomicU64::new(0), names: names.into() }
    }

    async fn heard(address: &str, far: Far) -> Result<Heard, TargetError> {
        listen(address, Some(&Target::new(Arc::new(far), "run"))).await
    }

    #[tokio::test]
    async fn who_answers_refuses_or_is_silent() {
        let begun = Instant::now();
        assert_eq!(heard(ANSWERS, far()).await.unwrap(), Heard::Answer);
        assert_eq!(heard(REFUSES, far()).await.unwrap(), Heard::Silence);
        assert!(begun.elapsed() < SILENCE);
        assert_eq!(heard(SILENT, far()).await.unwrap(), Heard::Silence);
        assert!(begun.elapsed() >= SILENCE);
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_asked_and_a_name_without_any_is_not_silent() {
        assert_eq!(heard("dual:6443", far()).await.unwrap(), Heard::Answer);
        assert_eq!(heard("dead:6443", far()).await.unwrap(), Heard::Silence);
        let unknown = Heard::Unasked("its name cannot be resolved on far".to_owned());
        assert_eq!(heard("unknown:6443", far()).await.unwrap(), unknown);
    }

    #[tokio::test]
    async fn a_link_that_is_away_is_not_silence() {
        let still = Far { back: Instant::now() + SILENCE + Duration::from_millis(500), ..far() };
        let cut = Far { cut: true, ..far() };
        let gone = Far { gone: true, ..far() };
        let (still, cut, gone) = tokio::join!(heard(ANSWERS, still), heard(ANSWERS, cut), heard(ANSWERS, gone));
        assert_eq!(still.unwrap(), Heard::Answer);
        assert_eq!(cut.unwrap(), Heard::Answer);
        assert!(matches!(gone, Err(TargetError::Transport(TransportError::Lost { .. }))), "{gone:?}");
    }
}
