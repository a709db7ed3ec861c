//! Why a TLS connection to a server came to nothing, and what to do about it.

use std::error::Error as AnyError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// How one side calls the settings and parties of its TLS, so that advice names them.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The server, such as `the engine`.
    pub server: &'a str,
    /// The name that its certificate must have.
    pub name: &'a str,
    /// The setting with that name, such as `engine.host`.
    pub address: &'a str,
    /// By whom its certificate was not issued, and what to do: the rest of a sentence.
    pub issuer: &'a str,
    /// The setting with our certificate.
    pub certificate: &'a str,
    /// The setting with the key of our certificate.
    pub key: &'a str,
    /// Whether we show a certificate.
    pub is_named: bool,
    /// How the server is told whom to believe, in brackets; or empty.
    pub believes: &'a str,
    /// What to look at where the server does not speak TLS: the rest of a sentence.
    pub plain: &'a str,
}

impl Words<'_> {
    /// What TLS has to say about an error, and what to do about it; `None` where TLS was not what failed.
    #[must_use]
    pub fn advice(&self, error: &(dyn AnyError + 'static)) -> Option<String> {
        fault(error).map(|fault| self.advice_on(fault))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enums are not ours: what is not told apart is told in their own words"
    )]
    fn advice_on(&self, fault: &Error) -> String {
        let Self {
            server,
            certificate,
            key,
            ..
        } = self;
        match fault {
            Error::InvalidCertificate(error) => self.advice_on_certificate(error),
            Error::AlertReceived(alert) => match (alert, self.is_named) {
                (
                    AlertDescription::CertificateRequired | AlertDescription::BadCertificate,
                    false,
                ) => {
                    format!(
                        "it demands a client certificate; name one in `{certificate}` and `{key}`"
                    )
                }
                (AlertDescription::CertificateExpired, true) => {
                    format!(
                        "it says that our client certificate has expired; renew `{certificate}`, or set the clocks right"
                    )
                }
                (
                    AlertDescription::UnknownCA
                    | AlertDescription::BadCertificate
                    | AlertDescription::CertificateUnknown
                    | AlertDescription::CertificateRequired
                    | AlertDescription::CertificateRevoked
                    | AlertDescription::UnsupportedCertificate
                    | AlertDescription::AccessDenied
                    | AlertDescription::DecryptError,
                    true,
                ) => format!(
                    "it refuses our client certificate; `{certificate}` must be issued by an authority that {server} \
                     believes{}",
                    self.believes
                ),
                _ => format!("the TLS handshake failed: {fault}"),
            },
            Error::InvalidMessage(_) => {
                format!("what answers there does not speak TLS; {}", self.plain)
            }
            _ => format!("the TLS handshake failed: {fault}"),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is not ours: what is not told apart is told in its own words"
    )]
    fn advice_on_certificate(&self, error: &CertificateError) -> String {
        let Self { name, address, .. } = self;
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
                "its certificate has expired; renew it at {}, or set this machine's clock right",
                self.server
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet; set this machine's clock right".to_owned()
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("its certificate was not issued by {}", self.issuer)
            }
            CertificateError::NotValidForName => format!(
                "its certificate is not for `{name}`; have that name put into it, or write one that is in it in `{address}`"
            ),
            CertificateError::NotValidForNameContext { presented, .. } => format!(
                "its certificate is not for `{name}`, but for {}; have that name put into it, or write one that is in it \
                 in `{address}`",
                presented_names(presented)
            ),
            other => format!("its certificate cannot be believed: {other}"),
        }
    }
}

/// What TLS has to say about an error, however deep it lies in it; `None` where TLS was not what failed.
#[must_use]
pub fn fault<'a>(error: &'a (dyn AnyError + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref() {
            return Some(fault);
        }
        // An I/O error counts the sources of what is in it, and passes over that itself.
        let inside = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    None
}

/// As they would be written in an address; rustls tells of which kind each is.
fn presented_names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inside = name
            .split_once("(\"")
            .and_then(|(_, rest)| rest.split_once("\")"));
        format!("`{}`", inside.map_or(name.as_str(), |(name, _)| name))
    };
    presented.iter().map(plain).collect::<Vec<_>>().join(", ")
}
