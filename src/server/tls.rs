//! TLS on the TCP listeners: which certificate is shown, whose are accepted, and the handshake.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::tls::{Current, Error, PemFile, authorities, identity, provider};

use super::connection::{Stream, by_hand};
use super::{MAX_HEAD_BYTES, Peer, names};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The most bytes that are taken from a client after it was turned away.
const MAX_UNREAD: u64 = 64 * 1024;

/// The first byte of every TLS connection.
const HANDSHAKE: u8 = 0x16;

/// The `[server.tls]` table: TLS 1.2 and 1.3 on every TCP listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// A PEM file with the server's certificate and, below it, those of its authorities.
    pub certificate: PathBuf,
    /// A PEM file with the key of that certificate.
    pub key: PathBuf,
    /// Which clients' certificates are verified; without it none is asked for.
    pub clients: Option<ClientCertificates>,
}

/// How clients' certificates are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// A PEM file with the certificates of the authorities that issue them.
    pub ca: PathBuf,
    /// Whether a client must have one.
    pub auth: ClientAuth,
}

/// Whether a client must show a certificate. One that it shows is verified in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Without one the handshake fails.
    Required,
    /// Without one it is a client that has none.
    Optional,
}

impl FromStr for ClientAuth {
    type Err = &'static str;

    /// # Errors
    ///
    /// A sentence that says which words there are.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "required" => Ok(Self::Required),
            "optional" => Ok(Self::Optional),
            _ => Err("write `required` or `optional`"),
        }
    }
}

/// The certificates of a server, read again while it runs. Cheap to clone.
#[derive(Clone)]
pub struct Certificates {
    current: Arc<Current<ServerConfig>>,
    again: Arc<Notify>,
}

impl Certificates {
    pub(super) fn load(settings: &TlsSettings) -> Result<Self, Error> {
        let mut files = vec![settings.certificate.clone(), settings.key.clone()];
        files.extend(settings.clients.iter().map(|clients| clients.ca.clone()));
        let settings = settings.clone();
        Ok(Self {
            current: Arc::new(Current::new(files, move || configure(&settings))?),
            again: Arc::default(),
        })
    }

    /// Has the files looked at now, without waiting for the next time that they would be anyway.
    pub fn look_now(&self) {
        self.again.notify_one();
    }

    /// Looks at the files again and again; never ends.
    pub(super) async fn keep_current(&self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.again.notified() => {}
            }
            let current = Arc::clone(&self.current);
            // Files may lie on a network that takes its time.
            let looked = tokio::task::spawn_blocking(move || current.look());
            if let Err(error) = looked.await {
                tracing::warn!(%error, "the TLS files could not be looked at");
            }
        }
    }

    /// Shakes hands with a client that has connected, for at most `limit`. `None` if nothing came of it.
    pub(super) async fn shake_hands(
        &self,
        mut tcp: TcpStream,
        mut peer: Peer,
        limit: Duration,
    ) -> Option<(Stream, Peer)> {
        // SECURITY: without a limit, clients that say nothing would take every place.
        let shaken = tokio::time::timeout(limit, async {
            let mut first = [0];
            if tcp.peek(&mut first).await? == 1 && first != [HANDSHAKE] {
                let answer = by_hand("400 Bad Request", "This port speaks TLS: use https");
                tcp.write_all(answer.as_bytes()).await?;
                part(tcp).await?;
                return Err(io::Error::other("the client does not speak TLS"));
            }
            let acceptor = TlsAcceptor::from(self.current.get());
            match Box::pin(acceptor.accept(tcp).into_fallible()).await {
                Ok(tls) => Ok(tls),
                Err((error, tcp)) => {
                    let _gone_already = part(tcp).await;
                    Err(error)
                }
            }
        });
        let tls = match shaken.await.unwrap_or_else(|late| Err(late.into())) {
            Ok(tls) => tls,
            Err(error) => {
                tracing::debug!(%peer, %error, "no TLS connection came about");
                return None;
            }
        };
        let certificates = tls.get_ref().1.peer_certificates();
        peer.certificate = certificates
            .and_then(|chain| chain.first())
            .map(|own| names::of(own).into());
        Some((Stream::Tls(Box::new(tls)), peer))
    }
}

/// Takes leave of a client that was told why. If what it still sends were left unread, the kernel would take back what it
/// was told.
async fn part(mut tcp: TcpStream) -> io::Result<()> {
    tcp.shutdown().await?;
    let mut unread = vec![0; MAX_HEAD_BYTES];
    let mut rest = tcp.take(MAX_UNREAD);
    while rest.read(&mut unread).await? > 0 {}
    Ok(())
}

fn configure(settings: &TlsSettings) -> Result<ServerConfig, Error> {
    let certificate = PemFile {
        setting: "server.tls.certificate",
        path: &settings.certificate,
    };
    let key = PemFile {
        setting: "server.tls.key",
        path: &settings.key,
    };
    let shown = identity(certificate, key)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| certificate.error(error.to_string(), ""))?;
    let mut config = match &settings.clients {
        None => builder.with_no_client_auth().with_cert_resolver(shown),
        Some(clients) => {
            let ca = PemFile {
                setting: "server.tls.client_ca",
                path: &clients.ca,
            };
            let verifier =
                WebPkiClientVerifier::builder_with_provider(authorities(ca)?, provider());
            let verifier = match clients.auth {
                ClientAuth::Required => verifier,
                ClientAuth::Optional => verifier.allow_unauthenticated(),
            };
            let verifier = verifier
                .build()
                .map_err(|error| ca.error(error.to_string(), ""))?;
            let mut config = builder
                .with_client_cert_verifier(verifier)
                .with_cert_resolver(shown);
            // SECURITY: a resumed session is not verified again, so that an expired certificate would go on to count.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            config
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
