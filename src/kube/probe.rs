//! Does a URL answer, asked as the target sees it?

use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use url::{Host, Position, Url};

use super::client::{NAME, builder, client, provider, roots, wrong};
use super::{ApiError, root_ca};
use crate::actions::Context;
use crate::engine::chain;
use crate::tunnel::{Tunnel, is_loopback};

/// Asks a URL as the target sees it; `Err` says what came instead of a good answer.
pub async fn http_status(cx: &Context<'_>, url: &str) -> Result<(), String> {
    let parsed = Url::parse(url).map_err(|error| format!("`{url}`: {error}"))?;
    let (host, port) = address(&parsed).ok_or_else(|| format!("`{url}` names no host and port"))?;
    let tunnel = Tunnel::open(cx.target.transport(), &host, port).await.map_err(|error| chain(&error))?;
    let tls = tls(root_ca(cx).await?.expose(), &host).map_err(|error| chain(&error))?;
    let http = client(tls, &host, &tunnel).map_err(|error| chain(&error))?;
    let asked = parsed[Position::BeforeHost..Position::AfterPort].to_owned();
    let through = tunnelled(parsed, &tunnel).ok_or_else(|| format!("`{url}` cannot be tunnelled"))?;
    let response = http.get(through).header("host", asked).send().await.map_err(|error| chain(&error))?;
    let status = response.status();
    if status.is_success() || status.is_redirection() { Ok(()) } else { Err(format!("{url} answered {status}")) }
}

/// The host and port that a URL leads to; an IPv6 address without its brackets.
#[must_use]
pub fn asked_at(url: &str) -> Option<(String, u16)> {
    address(&Url::parse(url).ok()?)
}

fn address(url: &Url) -> Option<(String, u16)> {
    let host = match url.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    Some((host, url.port_or_known_default()?))
}

/// A name is found at the tunnel's end. An address cannot be, so the tunnel's own takes its place.
fn tunnelled(mut url: Url, tunnel: &Tunnel) -> Option<Url> {
    if !matches!(url.host()?, Host::Domain(_)) {
        url.set_ip_host(tunnel.address().ip()).ok()?;
    }
    url.set_port(Some(tunnel.address().port())).ok()?;
    Some(url)
}

fn tls(ca: &[u8], host: &str) -> Result<ClientConfig, ApiError> {
    let verifier = Arc::new(OfHost::new(ca, host)?);
    Ok(builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Verifies as usual, but for the host that is meant, whatever address led to it. kubeadm makes no API server's certificate for
/// a loopback address: there it is known by its name as well.
#[derive(Debug)]
struct OfHost {
    host: ServerName<'static>,
    or: Option<ServerName<'static>>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl OfHost {
    fn new(ca: &[u8], host: &str) -> Result<Self, ApiError> {
        let name = match host.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => {
                ServerName::try_from(host.to_owned()).map_err(|error| wrong("the host's name", error.to_string()))?
            }
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(ca)?), provider())
            .build()
            .map_err(|error| wrong("the CA's certificate", error.to_string()))?;
        let or = is_loopback(host).then(|| ServerName::try_from(NAME)).transpose();
        let or = or.map_err(|error| wrong("the API server's name", error.to_string()))?;
        Ok(Self { host: name, or, verifier })
    }
}

impl ServerCertVerifier for OfHost {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verify = |name| self.verifier.verify_server_cert(certificate, intermediates, name, ocsp, now);
        verify(&self.host).or_else(|error| self.or.as_ref().and_then(|name| verify(name).ok()).ok_or(error))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    /// A CA, and a certificate of it for these.
    fn certificates(names: &[&str]) -> (String, CertificateDer<'static>) {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = ca.self_signed(&ca_key).unwrap().pem();
        let params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        let signed = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        (pem, signed.der().clone())
    }

    /// Whether a certificate for these is good for a URL.
    fn is_good(names: &[&str], url: &str) -> bool {
        let (ca, certificate) = certificates(names);
        let tunnel = ServerName::try_from("127.0.0.1").unwrap();
        let (host, _) = asked_at(url).unwrap();
        let of_host = OfHost::new(ca.as_bytes(), &host).unwrap();
        of_host.verify_server_cert(&certificate, &[], &tunnel, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn a_certificate_is_for_the_host_that_is_meant_not_for_the_tunnel() {
        let verify = |url: &str| is_good(&["10.0.0.1", "fd00::1", "api.test"], url);
        for url in ["https://10.0.0.1:6443/", "https://[fd00::1]:6443/", "https://api.test/"] {
            assert!(verify(url), "{url}");
        }
        for url in ["https://10.0.0.2:6443/", "https://127.0.0.1:6443/", "https://[fd00::2]/", "https://other.test/"] {
            assert!(!verify(url), "{url}");
        }
    }

    #[test]
    fn on_the_loopback_the_api_server_is_known_by_its_name() {
        for url in ["https://127.0.0.1:6443/", "https://[::1]:6443/", "https://localhost:6443/"] {
            assert!(is_good(&["kubernetes", "10.0.0.1"], url), "{url}");
            assert!(!is_good(&["other.test", "10.0.0.1"], url), "{url}");
        }
        assert!(is_good(&["127.0.0.1"], "https://127.0.0.1:2379/"), "by its own address, as ever");
        assert!(!is_good(&["kubernetes"], "https://10.0.0.1:6443/"));
    }

    #[test]
    fn a_url_leads_to_a_host_and_a_port() {
        assert_eq!(asked_at("https://[fd00::1]/healthz"), Some(("fd00::1".to_owned(), 443)));
        assert_eq!(asked_at("http://10.0.0.1:8080"), Some(("10.0.0.1".to_owned(), 8080)));
        assert_eq!(asked_at("unix:/run/socket"), None);
    }
}
