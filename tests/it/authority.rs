//! Authorities and certificates made for one test, and TLS clients that go by them.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::http::{self, Answer};

/// One that issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, as PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate for these names (DNS names and IP addresses), of which the first is the common name too.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_as(names, |_| {})
    }

    /// The same, but it has expired.
    pub(crate) fn issue_expired(&self, names: &[&str]) -> Issued {
        self.issue_as(names, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    fn issue_as(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        let common = names.first().map_or("", String::as_str);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, format!("{common} (common)"));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Issued {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that believes in this authority, and shows this certificate.
    pub(crate) fn client(&self, shown: Option<&Issued>) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match shown {
            None => builder.with_no_client_auth(),
            Some(issued) => builder
                .with_client_auth_cert(vec![issued.der()], issued.key_der())
                .unwrap(),
        }
    }
}

impl Issued {
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }

    /// Writes `NAME.pem` and `NAME.key`; answers where they are.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (
            folder.join(format!("{name}.pem")),
            folder.join(format!("{name}.key")),
        );
        fs::write(&certificate, &self.certificate).unwrap();
        fs::write(&key, &self.key).unwrap();
        (certificate, key)
    }
}

/// A TLS connection to `localhost` at this address; the handshake comes with the first byte.
pub(crate) fn connect(
    address: SocketAddr,
    client: &ClientConfig,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(client.clone()), name).unwrap();
    StreamOwned::new(connection, http::connect(address))
}

/// Asks, and reads until the gateway closes. An end without `close_notify` is an error.
pub(crate) fn ask(address: SocketAddr, client: &ClientConfig, path: &str) -> io::Result<String> {
    ask_with(address, client, path, "")
}

/// The same with further header lines, each with its `\r\n`.
pub(crate) fn ask_with(
    address: SocketAddr,
    client: &ClientConfig,
    path: &str,
    headers: &str,
) -> io::Result<String> {
    exchange(address, client, &format!("GET {path} HTTP/1.1"), headers)
}

/// Sends a request of any method, and reads the answer.
pub(crate) fn send(
    address: SocketAddr,
    client: &ClientConfig,
    method: &str,
    path: &str,
    headers: &str,
) -> io::Result<Answer> {
    let answer = exchange(
        address,
        client,
        &format!("{method} {path} HTTP/1.1"),
        headers,
    )?;
    http::parse(&answer).ok_or_else(|| io::Error::other(answer))
}

fn exchange(
    address: SocketAddr,
    client: &ClientConfig,
    first_line: &str,
    headers: &str,
) -> io::Result<String> {
    let mut stream = connect(address, client);
    let request = format!("{first_line}\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    let written = stream.write_all(request.as_bytes());
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    match (written, read) {
        // Whatever TLS has to say about it comes first, then what the server has said in parting.
        (Err(error), _) if error.kind() == io::ErrorKind::InvalidData => Err(error),
        (_, Err(error)) | (Err(error), Ok(_)) => Err(error),
        (Ok(()), Ok(_)) => Ok(answer),
    }
}
