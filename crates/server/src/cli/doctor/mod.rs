//! `doctor`: looks at everything that mail depends on, one line each, and says what to do. It changes nothing.
//! `--probe` sends a letter of our own through our own door.

mod doors;
mod house;
mod line;
mod outside;
mod places;
mod probe;

use std::path::{Path, PathBuf};

use serde_json::json;

use self::line::{Line, Status};
use super::config::{load, mode_in_store};
use super::exit::{Code, Failure, data};
use crate::boot::Data;
use crate::clock::Clock;
use crate::config::Loaded;

/// Look at everything that mail depends on, and say what to do
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 0 when nothing fails; warnings do not count. Else that of the gravest failure: 20 for \
                        the ledger, 3 for configuration, data directory and policies, 4 for what cannot be reached."
)]
pub(super) struct Doctor {
    /// Also send a letter from the notice account to itself: through our submission listener, judged and recorded
    /// like everybody's, into the upstream. Needs a server that runs, and sends mail
    #[arg(long)]
    probe: bool,
    /// Where the letter goes [default: `notice_from`]
    #[arg(long, value_name = "ADDRESS", requires = "probe")]
    probe_to: Option<String>,
    /// Which account sends it, and as whom [default: `notice_account` and `notice_from`]
    #[arg(long, value_name = "ACCOUNT=ADDRESS", requires = "probe")]
    probe_as: Option<String>,
    /// How many of the last entries of a long ledger are looked at
    #[arg(long, default_value_t = 1_000, value_name = "COUNT")]
    tail: u32,
    /// The most domains whose SPF is checked
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    domains: usize,
    /// One JSON line a check, and one at the end
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let mut told = Told { json: self.json, ..Told::default() };
        let loaded = match load(file) {
            Ok(loaded) => self.with_mode(loaded).await,
            Err(error) => {
                let remedy = "mend it; every key is in docs/reference/countersign.toml";
                told.tell(&Line::fail("configuration", Code::Configuration, error, remedy));
                return Ok(told.end());
            }
        };
        told.tell(&house::configuration(&loaded));
        let config = &loaded.config;
        let clock = Clock::system();
        house::data_dir(config).into_iter().for_each(|line| told.tell(&line));
        let opened = Data::read(config, &clock).await;
        told.tell(&house::store(&opened, config));
        told.tell(&house::root_key(&opened).await);
        let open = opened.ok();
        let places = places::look(config, open.as_ref()).await;
        told.tell(&house::ledger(open.as_ref(), self.tail, places.against).await);
        places.lines.iter().for_each(|line| told.tell(line));
        told.tell(&house::clock(open.as_ref(), &clock).await);
        for line in doors::listeners(config).await {
            told.tell(&line);
        }
        doors::certificates(config, &clock).into_iter().for_each(|line| told.tell(&line));
        for line in outside::resolvers(config).await {
            told.tell(&line);
        }
        for line in outside::upstreams(config).await {
            told.tell(&line);
        }
        for line in outside::domains(config, open.as_ref(), &clock, self.domains).await {
            told.tell(&line);
        }
        told.tell(&house::notices(config, open.as_ref()).await);
        if self.probe {
            for line in
                probe::send(config, open.as_ref(), self.probe_as.as_deref(), self.probe_to.as_deref()).await
            {
                told.tell(&line);
            }
        }
        Ok(told.end())
    }

    async fn with_mode(&self, mut loaded: Loaded) -> Loaded {
        if let Some(mode) = mode_in_store(&loaded.config).await {
            loaded.mode_from_store(mode);
        }
        loaded
    }
}

/// What was told so far.
#[derive(Default)]
struct Told {
    json: bool,
    counts: [usize; 4],
    gravest: Option<Code>,
}

impl Told {
    fn tell(&mut self, line: &Line) {
        data(&if self.json { line.json().to_string() } else { line.sentence() });
        if let Some(count) = self.counts.get_mut(line.status as usize) {
            *count += 1;
        }
        if line.status == Status::Fail && self.gravest != Some(Code::LedgerBroken) {
            let first = self.gravest.unwrap_or(line.code);
            self.gravest = Some(if line.code == Code::LedgerBroken { line.code } else { first });
        }
    }

    fn end(&self) -> Code {
        let [ok, warn, fail, skipped] = self.counts;
        data(&match self.json {
            true => json!({ "v": 1, "done": true, "ok": ok, "warn": warn, "fail": fail, "skipped": skipped })
                .to_string(),
            false => format!("{ok} ok, {warn} to look at, {fail} wrong, {skipped} skipped"),
        });
        self.gravest.unwrap_or(Code::Ok)
    }
}

/// The directory whose server is asked, when one runs.
fn running(data_dir: &Path) -> Option<PathBuf> {
    let socket = data_dir.join("control.sock");
    std::os::unix::net::UnixStream::connect(&socket).is_ok().then_some(socket)
}
