//! What of a new configuration takes a restart, because it is bound to what is open.
//! A reload keeps the old values of these and says so.

use super::checked::Config;

impl Config {
    /// This configuration with what cannot change while the server runs taken from `running`, and the names of
    /// the keys that would have changed.
    #[must_use]
    pub fn while_running(mut self, running: &Self) -> (Self, Vec<&'static str>) {
        let mut kept = Vec::new();
        let mut keep = |name: &'static str, same: bool| {
            if !same {
                kept.push(name);
            }
        };
        keep("[server] data_dir", self.server.data_dir == running.server.data_dir);
        keep("[server] root_key_file", self.server.root_key_file == running.server.root_key_file);
        keep("[store] url", self.store == running.store);
        keep("[store] shared", self.shared == running.shared);
        keep("[ledger] second_sink", self.second_sink == running.second_sink);
        keep("[[ledger.witnesses]]", self.witnesses == running.witnesses);
        let api = |config: &Self| (config.api.listen, config.api.tls);
        keep("[api] listen or tls", api(&self) == api(running));
        keep("[metrics] listen", self.metrics == running.metrics);
        let places =
            |config: &Self| config.send.listeners.iter().map(|l| (l.listen, l.tls)).collect::<Vec<_>>();
        keep("[[send.listener]] listen or tls", places(&self) == places(running));
        self.server.data_dir.clone_from(&running.server.data_dir);
        self.server.root_key_file.clone_from(&running.server.root_key_file);
        self.store.clone_from(&running.store);
        self.shared.clone_from(&running.shared);
        self.second_sink.clone_from(&running.second_sink);
        self.witnesses.clone_from(&running.witnesses);
        if api(&self) != api(running) {
            self.api.clone_from(&running.api);
        }
        self.metrics = running.metrics;
        if places(&self) != places(running) {
            self.send.listeners.clone_from(&running.send.listeners);
        }
        (self, kept)
    }
}
