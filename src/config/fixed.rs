//! What a running gateway cannot change, and the files that it reads besides the configuration.

use std::path::Path;

use super::Config;

impl Config {
    /// The keys of what a running gateway cannot change, where this configuration has them otherwise than that one. All
    /// else is taken over by a reload.
    #[must_use]
    pub fn differs_at_the_start(&self, other: &Self) -> Vec<&'static str> {
        let server = (&self.server, &other.server);
        let engine = (&self.engine, &other.engine);
        let limits = (&self.limits, &other.limits);
        let settings = [
            ("server.listen", server.0.listen != server.1.listen),
            (
                "server.max_connections",
                server.0.max_connections != server.1.max_connections,
            ),
            (
                "server.header_timeout",
                server.0.header_timeout != server.1.header_timeout,
            ),
            (
                "server.body_timeout",
                server.0.body_timeout != server.1.body_timeout,
            ),
            (
                "server.shutdown_timeout",
                server.0.shutdown_timeout != server.1.shutdown_timeout,
            ),
            ("server.workers", server.0.workers != server.1.workers),
            ("server.tls", server.0.tls != server.1.tls),
            ("server.user", self.user != other.user),
            ("engine.host", engine.0.host != engine.1.host),
            ("engine.timeout", engine.0.timeout != engine.1.timeout),
            ("engine.tls", engine.0.tls != engine.1.tls),
            (
                "limits.per_principal",
                limits.0.per_principal != limits.1.per_principal,
            ),
            (
                "limits.per_address",
                limits.0.per_address != limits.1.per_address,
            ),
            (
                "limits.connections_per_address",
                server.0.connections_per_address != server.1.connections_per_address,
            ),
            ("limits.changes", limits.0.changes != limits.1.changes),
            (
                "limits.changes_per_container",
                limits.0.changes_per_container != limits.1.changes_per_container,
            ),
            ("log.filter", self.log.filter != other.log.filter),
            ("log.format", self.log.format != other.log.format),
            ("audit.output", self.audit.output != other.audit.output),
            (
                "audit.required",
                self.audit.required != other.audit.required,
            ),
        ];
        let differing = settings.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(key, _)| key).collect()
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
