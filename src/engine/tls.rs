//! TLS towards the engine: whom we believe, and who we say we are.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::{Current, Error, PemFile, authorities, identity, provider};

/// The `[engine.tls]` table: TLS 1.2 or 1.3 to a `tcp://` engine, whose certificate must be for the host in its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// A PEM file with the certificates of the authorities that may have issued the engine's.
    pub ca: PathBuf,
    /// Who we say we are; without it nobody, which only an engine accepts that asks for no certificate.
    pub client: Option<ClientCertificate>,
}

/// A certificate to show to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// A PEM file with the certificate and, below it, those of its authorities.
    pub certificate: PathBuf,
    /// A PEM file with the key of that certificate.
    pub key: PathBuf,
}

/// TLS to one engine. Its files are looked at before each new connection, and read again when they have changed.
#[derive(Clone)]
pub(super) struct Tls {
    name: ServerName<'static>,
    /// Whether we show a certificate.
    pub(super) is_named: bool,
    current: Arc<Current<ClientConfig>>,
}

impl Tls {
    /// Reads the files; `host` is the name that the engine's certificate must have.
    pub(super) fn load(host: &str, settings: &TlsSettings) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            format!(
                "`{host}` is no name that a certificate can have; write an IP address or a DNS name"
            )
        })?;
        let mut files = vec![settings.ca.clone()];
        if let Some(ClientCertificate { certificate, key }) = &settings.client {
            files.extend([certificate.clone(), key.clone()]);
        }
        let is_named = settings.client.is_some();
        let settings = settings.clone();
        let current = Current::new(files, move || configure(&settings));
        let current = Arc::new(current.map_err(|error| error.to_string())?);
        Ok(Self {
            name,
            is_named,
            current,
        })
    }

    pub(super) async fn connect(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let current = Arc::clone(&self.current);
        // Files may lie on a network that takes its time.
        let looked = tokio::task::spawn_blocking(move || {
            current.look();
            current.get()
        });
        let config = looked.await.map_err(io::Error::other)?;
        Box::pin(TlsConnector::from(config).connect(self.name.clone(), tcp)).await
    }
}

fn configure(settings: &TlsSettings) -> Result<ClientConfig, Error> {
    let ca = PemFile {
        setting: "engine.tls.ca",
        path: &settings.ca,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| ca.error(error.to_string(), ""))?
        .with_root_certificates(authorities(ca)?);
    let mut config = match &settings.client {
        None => builder.with_no_client_auth(),
        Some(ClientCertificate { certificate, key }) => {
            let certificate = PemFile {
                setting: "engine.tls.certificate",
                path: certificate,
            };
            let key = PemFile {
                setting: "engine.tls.key",
                path: key,
            };
            builder.with_client_cert_resolver(identity(certificate, key)?)
        }
    };
    // SECURITY: a resumed session is not verified again, so that an expired certificate would go on to count.
    config.resumption = Resumption::disabled();
    Ok(config)
}
