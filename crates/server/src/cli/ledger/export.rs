//! `ledger export`: a log as a file that somebody can verify who has nothing else of ours.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::show::failed;
use crate::boot::Data;
use crate::cli::exit::{Code, Failure, talk};
use crate::store::{self, ExportError, Known};

/// Write a log as a file that others can verify
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    /// Which log, by its name; without it the only one, or that of this node
    #[arg(long, value_name = "ORIGIN")]
    log: Option<String>,
    /// Leave out what is personal: leaves, and nothing of what was said
    #[arg(long)]
    without_payloads: bool,
    /// A new file, instead of the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Export {
    pub(super) async fn run(self, read: &Data) -> Result<Code, Failure> {
        let log = Known::named(&read.store, self.log.as_deref(), &read.dir).await.map_err(failed)?;
        let mut out: Box<dyn Write + Send> = match &self.out {
            None => Box::new(io::BufWriter::new(io::stdout())),
            Some(path) => {
                // Personal data: nobody else reads it.
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                let cannot = |error| Failure::usage(format!("`{}` cannot be made: {error}", path.display()));
                Box::new(io::BufWriter::new(file.map_err(cannot)?))
            }
        };
        let mut lines = |octets: &[u8]| out.write_all(octets);
        let done = store::export(&read.store, &read.keys, &log, self.without_payloads, &mut lines).await;
        let done = done.and_then(|done| Ok(out.flush().map(|()| done)?)).map_err(|error| match error {
            ExportError::Broken(..) => Failure::new(Code::LedgerBroken, error),
            ExportError::Log(error) => failed(error),
            other => Failure::internal(other),
        })?;
        let (leaves, payloads) = (done.leaves, done.payloads);
        talk(&format!(
            "exported {leaves} leaves and {payloads} payloads of log {}, key {}",
            log.origin, log.key
        ));
        Ok(Code::Ok)
    }
}
