//! TLS to the gateway: whom to believe, and who we say we are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::load_native_certs;

use super::address::Address;
use super::failure::Failure;
use super::token::variable;
use crate::cli::connection::{Place, Tls};
use crate::tls::{Error, PemFile, Words, authorities, identity, provider};

/// The variable that names the file with authorities to believe.
const CACERT: &str = "RELAYER_CONTROLLER_CACERT";

/// The files that TLS goes by, as the arguments name them.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    pub(super) cacert: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// TLS to this address; `None` where it takes none.
///
/// # Errors
///
/// Where a file cannot be used, or there is nobody to believe.
pub(super) fn tls(address: &Address, files: &Files) -> Result<Option<Tls>, Failure> {
    let host = match &address.place {
        Place::Tcp(host, _) if address.is_tls => host,
        Place::Tcp(..) | Place::Unix(_) if files.cert.is_some() => {
            return Err(Failure::Usage(format!(
                "`--cert` is shown over TLS only, and {address} has none; write `https://`"
            )));
        }
        Place::Tcp(..) | Place::Unix(_) => return Ok(None),
    };
    let name = ServerName::try_from(host.clone()).map_err(|_| {
        Failure::Usage(format!(
            "`{host}` is no name that a certificate can have; write an IP address or a DNS name"
        ))
    })?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Usage(error.to_string()))?
        .with_root_certificates(roots(files.cacert.as_deref())?);
    let config = match (&files.cert, &files.key) {
        (Some(cert), key) => {
            let certificate = file("--cert", cert);
            let key = key.as_ref().map_or(certificate, |key| file("--key", key));
            let identity = identity(certificate, key).map_err(|error| unusable(&error))?;
            builder.with_client_cert_resolver(identity)
        }
        (None, _) => builder.with_no_client_auth(),
    };
    let config = Arc::new(config);
    Ok(Some(Tls { name, config }))
}

/// The words in which is told what went wrong with TLS.
pub(super) fn words<'a>(address: &'a Address, files: &Files) -> Words<'a> {
    let name = match &address.place {
        Place::Tcp(host, _) => host,
        Place::Unix(_) => "",
    };
    let is_given = files.cacert.is_some() || variable(CACERT).is_some();
    Words {
        server: "the gateway",
        name,
        address: "--url",
        issuer: if is_given {
            "an authority in the file of `--cacert` (`RELAYER_CONTROLLER_CACERT`); name the file with the one that issued it"
        } else {
            "an authority that this system believes; name the file with the one that issued it in `--cacert` \
             (`RELAYER_CONTROLLER_CACERT`)"
        },
        certificate: "--cert",
        key: "--key",
        is_named: files.cert.is_some(),
        believes: " (`client_ca` of `[server.tls]`)",
        plain: "does it have `[server.tls]`? without it the address is `http://…`",
    }
}

fn roots(cacert: Option<&Path>) -> Result<Arc<RootCertStore>, Failure> {
    let named = variable(CACERT).map(PathBuf::from);
    match (cacert, &named) {
        (Some(path), _) => authorities(file("--cacert", path)).map_err(|error| unusable(&error)),
        (None, Some(path)) => authorities(file(CACERT, path)).map_err(|error| unusable(&error)),
        (None, None) => {
            let mut roots = RootCertStore::empty();
            // One that cannot be read is one that is not believed.
            let (added, _) = roots.add_parsable_certificates(load_native_certs().certs);
            if added == 0 {
                return Err(Failure::Usage(
                    "this system has no certificates of authorities; name a file with those to believe in `--cacert`".to_owned(),
                ));
            }
            Ok(Arc::new(roots))
        }
    }
}

const fn file<'a>(setting: &'static str, path: &'a Path) -> PemFile<'a> {
    PemFile { setting, path }
}

fn unusable(error: &Error) -> Failure {
    Failure::Usage(error.to_string())
}
