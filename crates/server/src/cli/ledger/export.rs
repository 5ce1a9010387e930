//! `ledger export`: a log as a file that somebody can verify who has nothing else of ours.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::event;
use super::show::failed;
use crate::boot::Data;
use crate::cli::exit::{Code, Failure, talk};
use crate::store::{self, ExportError, Known, Payload, Start};

/// Write a log as a file that others can verify
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    /// Which log, by its name; without it the only one, or that of this node
    #[arg(long, value_name = "ORIGIN")]
    log: Option<String>,
    /// Leave out what is personal: leaves, and nothing of what was said
    #[arg(long)]
    without_payloads: bool,
    /// What for: verifying (jsonl), a SIEM (ocsf) or a spreadsheet (csv)
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// A new file, instead of the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Lines that somebody can verify who has nothing else of ours
    Jsonl,
    /// An event of the Open Cybersecurity Schema Framework on each line
    Ocsf,
    /// A line of headings, then a line for each entry
    Csv,
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
        if self.format != Format::Jsonl {
            return self.events(read, &log, &mut out).await;
        }
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

    async fn events(self, read: &Data, log: &Known, out: &mut (dyn Write + Send)) -> Result<Code, Failure> {
        let mut next = Some(Start::of(log));
        let mut count = 0_u64;
        if self.format == Format::Csv {
            out.write_all(event::HEADINGS.as_bytes()).map_err(Failure::internal)?;
        }
        while let Some(start) = next {
            let page = store::onward(&read.store, &read.keys, start, PAGE).await;
            let (entries, after) = page.map_err(Failure::internal)?;
            for mut entry in entries {
                if self.without_payloads {
                    entry.payload = Payload::Erased;
                }
                let line = match self.format {
                    Format::Csv => event::csv(&entry, &log.origin),
                    Format::Ocsf | Format::Jsonl => event::ocsf(&entry, &log.origin).to_string() + "\n",
                };
                out.write_all(line.as_bytes()).map_err(Failure::internal)?;
                count += 1;
            }
            next = after;
        }
        out.flush().map_err(Failure::internal)?;
        talk(&format!(
            "exported {count} entries of log {}; nobody can verify them in this form (`--format jsonl`)",
            log.origin
        ));
        Ok(Code::Ok)
    }
}

const PAGE: u32 = 1000;
