//! The log of a process, on stderr.
//! `serve` starts it, and every verb that opens the ledger for writing: both warn in the same words.

/// Logs to stderr; `RUST_LOG` says how much, or else `usual`.
pub(super) fn start_log(json: bool, usual: &str) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    // A log that cannot be written is no reason to stop: telling so on the same stream would panic.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .log_internal_errors(false);
    // A second start in one process keeps the first log.
    let _kept = if json { log.json().try_init() } else { log.with_ansi(false).try_init() };
}
