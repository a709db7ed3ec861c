//! `[server.tls]` and `[engine.tls]`: which files, and which of them need each other. What is in them is for the start
//! to see.

use std::path::PathBuf;

use crate::engine::{self, Host};
use crate::server::{self, ClientAuth, ClientCertificates};

use super::check::Check;
use super::document::Part;
use super::hint;
use super::mistake::quoted;
use super::raw::{EngineTls, Field, ServerTls, Unknown, keys};

impl Check<'_> {
    pub(super) fn server_tls(&mut self, field: Field<ServerTls>) -> Option<server::TlsSettings> {
        let raw = self.tls_table("server.tls", field)?;
        self.unknown_settings("server.tls", &raw.unknown);
        for (key, field) in [("certificate", &raw.certificate), ("key", &raw.key)] {
            if matches!(field, Field::Absent) {
                self.needed("server.tls", key, &raw.unknown);
            }
        }
        let clients = self.clients(&raw);
        let certificate = self.pem_file(&["server", "tls", "certificate"], raw.certificate);
        let key = self.pem_file(&["server", "tls", "key"], raw.key);
        Some(server::TlsSettings {
            certificate: certificate?,
            key: key?,
            clients,
        })
    }

    /// `host` is `None` where it is malformed.
    pub(super) fn engine_tls(
        &mut self,
        field: Field<EngineTls>,
        host: Option<&Host>,
    ) -> Option<engine::TlsSettings> {
        let raw = self.tls_table("engine.tls", field)?;
        self.unknown_settings("engine.tls", &raw.unknown);
        if let (Some(Host::Unix(_)), false) = (host, self.is_partial) {
            let what = "TLS needs a `tcp://` engine, and `engine.host` is a Unix socket";
            let hint = "write `host = \"tcp://host:2376\"` in `[engine]`, or remove `[engine.tls]`";
            self.add(&["engine", "tls"], Part::Key, what, hint);
        }
        if matches!(raw.ca, Field::Absent) {
            self.needed("engine.tls", "ca", &raw.unknown);
        }
        let is_absent = |field: &Field<String>| matches!(field, Field::Absent);
        if is_absent(&raw.certificate) != is_absent(&raw.key) {
            let missing = if is_absent(&raw.key) {
                "key"
            } else {
                "certificate"
            };
            self.needed("engine.tls", missing, &raw.unknown);
        }
        let ca = self.pem_file(&["engine", "tls", "ca"], raw.ca);
        let certificate = self.pem_file(&["engine", "tls", "certificate"], raw.certificate);
        let key = self.pem_file(&["engine", "tls", "key"], raw.key);
        let client = certificate
            .zip(key)
            .map(|(certificate, key)| engine::ClientCertificate { certificate, key });
        Some(engine::TlsSettings { ca: ca?, client })
    }

    fn clients(&mut self, raw: &ServerTls) -> Option<ClientCertificates> {
        let path = &["server", "tls", "client_auth"];
        let auth = self.text(path, raw.client_auth.clone(), |text| {
            text.parse::<ClientAuth>().map_err(|form| {
                let near = hint::nearest(text, ["required", "optional"]);
                let hint = near.map_or_else(|| form.to_owned(), hint::did_you_mean);
                (
                    format!("{} is no way to ask for a certificate", quoted(text)),
                    hint,
                )
            })
        });
        let is_alone = matches!(raw.client_ca, Field::Absent);
        if auth.is_some() && is_alone && !self.is_partial && !is_misspelt("client_ca", &raw.unknown)
        {
            let what = "there is no `client_ca` to verify clients' certificates against";
            let hint = "add `client_ca`, the file of the authority that issues them; without it no client is asked for one";
            self.add(path, Part::Key, what, hint);
        }
        let ca = self.pem_file(&["server", "tls", "client_ca"], raw.client_ca.clone())?;
        Some(ClientCertificates {
            ca,
            auth: auth.unwrap_or(ClientAuth::Required),
        })
    }

    /// A table that means something by being there.
    fn tls_table<T>(&mut self, name: &str, field: Field<T>) -> Option<T> {
        let path: Vec<&str> = name.split('.').collect();
        let hint = |_: &str| format!("write `[{name}]` and its settings below it");
        self.given(&path, field, "a table", hint)
    }

    /// Notes that a key is missing: not where it is spelled wrong, was lost to a syntax mistake, or may be given by a
    /// layer that is left out.
    fn needed(&mut self, table: &str, key: &str, unknown: &Unknown) {
        let path: Vec<&str> = table.split('.').collect();
        if self.is_partial || self.document.is_section_broken(&path) || is_misspelt(key, unknown) {
            return;
        }
        let what = format!("`[{table}]` has no `{key}`");
        self.add(&path, Part::Key, what, example(key));
    }

    /// The path of a PEM file. Nobody looks whether there is one.
    fn pem_file(&mut self, path: &[&str], field: Field<String>) -> Option<PathBuf> {
        let key = path.last().copied().unwrap_or_default();
        if let Field::Given(text) = &field
            && text.contains("-----BEGIN")
        {
            // SECURITY: the line is not shown, for it may be that of a private key.
            let table = path.get(..path.len() - 1).unwrap_or_default();
            let what = format!("`{key}` is PEM text itself, and not the path of a file");
            let hint = "write the text into a file that only this program's user can read, and name that file";
            self.add(table, Part::Key, what, hint);
            return None;
        }
        self.text(path, field, |text| {
            if text.trim().is_empty() {
                Err(("the path is empty".to_owned(), example(key)))
            } else {
                Ok(PathBuf::from(text))
            }
        })
    }
}

fn is_misspelt(key: &str, unknown: &Unknown) -> bool {
    let known: Vec<&str> = keys("server.tls").chain(keys("engine.tls")).collect();
    unknown
        .keys()
        .any(|unknown| hint::nearest(unknown, known.iter().copied()) == Some(key))
}

fn example(key: &str) -> String {
    let name = key.replace('_', "-");
    format!("name a file, such as `{key} = \"/etc/relayer-controller/tls/{name}.pem\"`")
}
