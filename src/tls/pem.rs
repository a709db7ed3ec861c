//! PEM files: certificates, authorities, and keys that belong to certificates.

use std::fs::{self, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::{Error, provider};

/// More than any bundle of authorities has.
const MAX_BYTES: u64 = 1 << 20;

/// A file that a setting names.
#[derive(Clone, Copy, Debug)]
pub struct PemFile<'a> {
    /// The key of the setting, such as `server.tls.key`.
    pub setting: &'static str,
    /// Where the file is; a relative path begins where this process was started.
    pub path: &'a Path,
}

impl PemFile<'_> {
    /// What is wrong with it, in lower case, and what to do about it.
    #[must_use]
    pub fn error(self, what: impl Into<String>, advice: impl Into<String>) -> Error {
        Error {
            setting: self.setting,
            path: self.path.to_owned(),
            what: what.into(),
            advice: advice.into(),
        }
    }
}

/// The certificates in a file, in their order; at least one.
///
/// # Errors
///
/// Where the file cannot be read, is damaged, or has no certificate in it.
fn certificates(file: PemFile<'_>) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(file.error(
            "there is no certificate in it",
            "it must be PEM text with a part that begins `-----BEGIN CERTIFICATE-----`",
        )),
        Err(_) => Err(file.error("it is damaged PEM text", "copy it once more")),
    }
}

/// The certificates in a file as authorities to trust.
///
/// # Errors
///
/// Where the file cannot be read, is damaged, or has no certificate in it, and where one of them is no certificate at all.
pub fn authorities(file: PemFile<'_>) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(file)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            let what = format!("its certificate number {} is damaged: {error}", index + 1);
            file.error(what, "copy it once more")
        })?;
    }
    Ok(Arc::new(roots))
}

/// A chain of certificates, its own first, with the key of that one.
///
/// # Errors
///
/// Where one of the files cannot be read or used, or they do not belong together.
pub fn identity(
    certificate: PemFile<'_>,
    key: PemFile<'_>,
) -> Result<Arc<SingleCertAndKey>, Error> {
    let chain = certificates(certificate)?;
    match CertifiedKey::from_der(chain, private_key(key)?, &provider()) {
        Ok(certified) => Ok(Arc::new(SingleCertAndKey::from(certified))),
        Err(rustls::Error::InconsistentKeys(_)) => Err(key.error(
            format!(
                "it is not the key of the first certificate in `{}`",
                certificate.path.display()
            ),
            "name the two that belong together; in a chain, the certificate itself stands first and its authorities \
             below it",
        )),
        Err(rustls::Error::InvalidCertificate(error)) => Err(certificate.error(
            format!("its first certificate is damaged: {error}"),
            "copy it once more",
        )),
        Err(_) => Err(key.error(
            "its key is damaged or of an unknown kind",
            "take an ECDSA key (P-256 or P-384), an Ed25519 key, or an RSA key of 2048 bits or more",
        )),
    }
}

fn private_key(file: PemFile<'_>) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read(file)?;
    if contains(&text, b"ENCRYPTED") {
        return Err(file.error(
            "its key is encrypted, and there is nobody to ask for the password",
            "take the password off with `openssl pkey -in OLD -out NEW`, and let only this user read the file",
        ));
    }
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        // SECURITY: the reader's own message may repeat a part of the key.
        Err(_) if contains(&text, b"PRIVATE KEY-----") => {
            Err(file.error("it is damaged PEM text", "copy it once more"))
        }
        Err(_) => Err(file.error(
            "there is no private key in it",
            "it must be PEM text with a part that begins `-----BEGIN PRIVATE KEY-----`",
        )),
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

fn read(file: PemFile<'_>) -> Result<Vec<u8>, Error> {
    let metadata = fs::metadata(file.path);
    let unread = |error: &std::io::Error| {
        if error.kind() == ErrorKind::NotFound {
            let advice = "correct the path, or mount the file into this container";
            return file.error("there is no such file", advice);
        }
        if error.kind() == ErrorKind::PermissionDenied {
            let advice = denied(metadata.as_ref().ok());
            return file.error("permission to read it is denied", advice);
        }
        file.error(format!("it cannot be read: {error}"), "")
    };
    match &metadata {
        // SECURITY: opening a pipe without a writer would wait for ever.
        Ok(metadata) if !metadata.is_file() => {
            return Err(file.error(
                "it is not an ordinary file",
                "if it is a mount, the file is missing on the host, and Docker has made a directory in its place",
            ));
        }
        Ok(_) => {}
        Err(error) => return Err(unread(error)),
    }
    let mut bytes = Vec::new();
    fs::File::open(file.path)
        .and_then(|opened| opened.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| unread(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(file.error("it is larger than 1 MiB", "is it the right one?"));
    }
    Ok(bytes)
}

fn denied(metadata: Option<&Metadata>) -> String {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let process = format!("this process is {}:{}", user.as_raw(), group.as_raw());
    match metadata {
        // Confinement, and not the mode, keeps a process that runs from other directories.
        Some(file) if file.mode() & 0o004 != 0 => {
            "its mode allows it: a gateway that runs reaches only the directories that it knew at its start; start again"
                .to_owned()
        }
        Some(file) => format!(
            "it belongs to {}:{} with mode {:04o}, and {process}",
            file.uid(),
            file.gid(),
            file.mode() & 0o7777
        ),
        None => format!("{process}, and may not enter one of the directories on the way"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{PemFile, authorities, identity};

    /// Writes both files, and tells what comes of them: of `chain.pem` or of `key.pem`.
    fn check(certificate: Option<&str>, key: Option<&str>, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, content) in [("chain.pem", certificate), ("key.pem", key)] {
            if let Some(content) = content {
                fs::write(at(name), content).unwrap();
            }
        }
        let (chain, key) = (at("chain.pem"), at("key.pem"));
        let certificate = PemFile {
            setting: "C",
            path: &chain,
        };
        let key = PemFile {
            setting: "K",
            path: &key,
        };
        let told = identity(certificate, key)
            .map_or_else(|error| error.to_string(), |_| "good".to_owned());
        let told = told.replace(&format!("{}/", folder.path().display()), "");
        let told = told
            .replace("` cannot be used: `chain.pem`", "")
            .replace("` cannot be used: `key.pem`", "");
        assert!(told.starts_with(expected), "{told}");
    }

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn files_that_belong_together() {
        let (certificate, key) = made();
        check(Some(&certificate), Some(&key), "good");
        let both = certificate + &key;
        check(Some(&both), Some(&both), "good");
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_told() {
        let (certificate, key) = made();
        let key = Some(key.as_str());
        check(None, key, "`C: there is no such file; correct the path");
        check(Some(""), key, "`C: there is no certificate in it; it must");
        check(key, key, "`C: there is no certificate in it; it must");
        check(Some(&cut(&certificate)), key, "`C: it is damaged PEM text");
        check(
            Some(&nonsense("CERTIFICATE")),
            key,
            "`C: its first certificate is damaged",
        );
        check(
            Some(&"x".repeat((1 << 20) + 1)),
            key,
            "`C: it is larger than 1 MiB",
        );
    }

    #[test]
    fn what_is_wrong_with_a_key_is_told() {
        let ((certificate, key), (_, other)) = (made(), made());
        let good = Some(certificate.as_str());
        check(good, None, "`K: there is no such file; correct the path");
        check(good, good, "`K: there is no private key in it; it must");
        check(
            good,
            Some(&other),
            "`K: it is not the key of the first certificate in `chain.pem`; name",
        );
        let encrypted = nonsense("ENCRYPTED PRIVATE KEY");
        let older = nonsense("RSA PRIVATE KEY").replace("AAAA", "Proc-Type: 4,ENCRYPTED\n\nAAAA");
        for text in [encrypted, older] {
            check(
                good,
                Some(&text),
                "`K: its key is encrypted, and there is nobody",
            );
        }
        check(good, Some(&cut(&key)), "`K: it is damaged PEM text");
        check(
            good,
            Some(&nonsense("PRIVATE KEY")),
            "`K: its key is damaged or of an unknown kind",
        );
    }

    fn cut(text: &str) -> String {
        text.lines()
            .take(2)
            .fold(String::new(), |cut, line| cut + line + "\n")
    }

    fn nonsense(kind: &str) -> String {
        format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n")
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        for path in ["/", "/dev/zero"] {
            let file = PemFile {
                setting: "engine.tls.ca",
                path: Path::new(path),
            };
            let told = authorities(file).unwrap_err().to_string();
            assert!(told.contains("not an ordinary file"), "{told}");
        }
    }
}
