//! An API server of a few answers, for tests of those who ask one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::client::provider;
use super::{ApiClient, Credentials};
use crate::inventory::Secret;
use crate::transport::Local;

/// Starts one on a loopback port, and connects to it. It answers a method and a path with a status and an object.
pub(crate) async fn stand_in(answer: impl FnMut(&str, &str) -> (u16, Value) + Send + 'static) -> ApiClient {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::new([]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let params = CertificateParams::new(["kubernetes".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || serve(&listener, &Arc::new(config), answer));
    let credentials = Credentials {
        certificate: certificate.pem().into_bytes(),
        key: Secret::new(key.serialize_pem().into_bytes()),
        ca: ca_pem.clone().into_bytes(),
        server: format!("https://127.0.0.1:{port}"),
    };
    ApiClient::open(Arc::new(Local), port, &credentials, ca_pem.as_bytes()).await.unwrap()
}

fn serve(listener: &TcpListener, config: &Arc<ServerConfig>, mut answer: impl FnMut(&str, &str) -> (u16, Value)) {
    for stream in listener.incoming() {
        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
        // Who only sees whether somebody listens asks nothing.
        drop(converse(StreamOwned::new(connection, stream.unwrap()), &mut answer));
    }
}

fn converse(
    stream: StreamOwned<ServerConnection, TcpStream>,
    answer: &mut impl FnMut(&str, &str) -> (u16, Value),
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)])?;
    let mut words = head.split_whitespace();
    let (status, object) = answer(words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let body = object.to_string();
    let stream = stream.get_mut();
    write!(
        stream,
        "HTTP/1.1 {status} It\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}
