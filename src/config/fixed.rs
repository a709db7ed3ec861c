//! What a running gateway cannot change, and the files that it reads besides the configuration.

use std::path::Path;

use super::Config;

impl Config {
    /// The keys of what a running gateway cannot change, where this configuration has them otherwise than that one. All
    /// else is taken over by a reload.
    #[must_use]
    pub fn differs_at_the_start(&self, other: &Self) -> Vec<&'static str> {
        let (server, was) = (&self.server, &other.server);
        let mut keys = Vec::new();
        let mut note = |key, differs: bool| keys.extend(differs.then_some(key));
        note("server.listen", server.listen != was.listen);
        note(
            "server.max_connections",
            server.max_connections != was.max_connections,
        );
        note(
            "server.header_timeout",
            server.header_timeout != was.header_timeout,
        );
        note(
            "server.body_timeout",
            server.body_timeout != was.body_timeout,
        );
        note(
            "server.shutdown_timeout",
            server.shutdown_timeout != was.shutdown_timeout,
        );
        note("server.workers", server.workers != was.workers);
        note("server.tls", server.tls != was.tls);
        note("server.user", self.user != other.user);
        note(
            "limits.connections_per_address",
            server.connections_per_address != was.connections_per_address,
        );
        note("limits", self.limits != other.limits);
        note("engine", self.engine != other.engine);
        note("log", self.log != other.log);
        note("audit", self.audit != other.audit);
        keys
    }

    /// Whether this is the same text, with the same tokens in the files that it names.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.revision == other.revision && self.register == other.register
    }

    /// The files with certificates and keys that `[server.tls]` and `[engine.tls]` name.
    #[must_use]
    pub fn tls_files(&self) -> Vec<&Path> {
        let mut files: Vec<&Path> = Vec::new();
        if let Some(tls) = &self.server.tls {
            files.extend([tls.certificate.as_path(), tls.key.as_path()]);
            files.extend(tls.clients.as_ref().map(|clients| clients.ca.as_path()));
        }
        if let Some(tls) = &self.engine.tls {
            files.push(&tls.ca);
            let shown = tls.client.as_ref();
            files.extend(shown.map(|shown| shown.certificate.as_path()));
            files.extend(shown.map(|shown| shown.key.as_path()));
        }
        files
    }
}
