//! `init`: writes a first configuration, the data directory and a unit for systemd, and prints what Postfix needs.
//! It asks nothing, overwrites nothing, and takes everything away again when something fails.

mod made;
mod postfix;
mod text;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use countersign_core::address::Domain;
use ipnet::IpNet;
use rustix::process::geteuid;
use serde_json::json;

use self::made::Made;
use self::postfix::Postfix;
use super::exit::{Code, Failure, data, talk};
use crate::boot::{Data, House};
use crate::clock::Clock;
use crate::config::{self, Machine, UpstreamUrl};
use crate::net::tls;

/// Write a first configuration beside a Postfix, and say what that needs
#[derive(Debug, Args)]
#[command(
    after_help = "Postfix's own files are read (with `postconf`) and never written. Without --dir, root writes \
                        /etc/countersign, /var/lib/countersign and /etc/systemd/system/countersign.service; others \
                        write all of it into the current directory."
)]
pub(super) struct Init {
    /// The directory of countersign.toml, and of data directory and unit unless these are named
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The file of the systemd unit
    #[arg(long, value_name = "FILE")]
    unit: Option<PathBuf>,
    /// Our name in greetings [default: Postfix's myhostname, else the machine's name]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Where customers submit, as often as there are listeners; port 465 is implicit TLS
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:2525")]
    listen: Vec<SocketAddr>,
    /// Where Postfix takes what passes
    #[arg(long, value_name = "URL", default_value = "smtp://127.0.0.1:10026", value_parser = UpstreamUrl::parse)]
    upstream: UpstreamUrl,
    /// From where that one sends to the world, as often as there are addresses [default: as Postfix and the
    /// routing table say]
    #[arg(long, value_name = "NETWORK")]
    egress: Vec<String>,
    /// Where /healthz, /readyz and /metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9587")]
    metrics: SocketAddr,
    /// The user of the unit
    #[arg(long, value_name = "NAME", default_value = "countersign")]
    user: String,
    /// Print what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON line
    #[arg(long)]
    json: bool,
}

impl Init {
    /// `file` is that of --config: it is written there.
    pub(super) async fn run(self, file: Option<&Path>) -> Result<Code, Failure> {
        let postfix = Postfix::found().await;
        let plan = self.plan(file, postfix)?;
        if self.dry_run {
            plan.rehearse();
            return Ok(Code::Ok);
        }
        let mut made = Made::default();
        plan.carry_out(&mut made).await?;
        let paths = made.keep();
        match self.json {
            true => data(&plan.line(&paths).to_string()),
            false => plan.tell(&paths),
        }
        Ok(Code::Ok)
    }

    fn plan(&self, file: Option<&Path>, postfix: Option<Postfix>) -> Result<Plan, Failure> {
        let (dir, data_dir, unit) = self.places();
        let hostname = self.hostname.clone().or_else(|| Some(postfix.as_ref()?.hostname.clone()));
        let hostname = hostname.or_else(|| Machine::here().name.filter(|name| name.contains('.')));
        let egress = match self.egress.is_empty() {
            false => self.egress.iter().map(|text| network(text)).collect::<Result<_, _>>()?,
            true => guessed_egress(postfix.as_ref()),
        };
        let hostname = hostname.unwrap_or_else(|| "localhost".to_owned());
        is_domain(&hostname, self.hostname.is_some())?;
        is_user(&self.user)?;
        Ok(Plan {
            config: absolute(file.unwrap_or(&dir.join("countersign.toml")))?,
            data_dir: absolute(&data_dir)?,
            unit: absolute(&unit)?,
            program: absolute(&std::env::current_exe().map_err(Failure::internal)?)?,
            hostname,
            listen: self.listen.clone(),
            upstream: self.upstream.clone(),
            egress_is_guessed: self.egress.is_empty(),
            egress,
            metrics: self.metrics,
            user: self.user.clone(),
            postfix,
        })
    }

    fn places(&self) -> (PathBuf, PathBuf, PathBuf) {
        let (dir, data_dir, unit) = match &self.dir {
            Some(dir) => (dir.clone(), dir.join("countersign-data"), dir.join("countersign.service")),
            None if geteuid().is_root() => (
                PathBuf::from("/etc/countersign"),
                PathBuf::from("/var/lib/countersign"),
                PathBuf::from("/etc/systemd/system/countersign.service"),
            ),
            None => ([".", "countersign-data", "countersign.service"].map(PathBuf::from)).into(),
        };
        (dir, self.data_dir.clone().unwrap_or(data_dir), self.unit.clone().unwrap_or(unit))
    }
}

/// Everything that is going to be written.
#[derive(Debug)]
struct Plan {
    config: PathBuf,
    data_dir: PathBuf,
    unit: PathBuf,
    program: PathBuf,
    hostname: String,
    listen: Vec<SocketAddr>,
    upstream: UpstreamUrl,
    egress: Vec<IpNet>,
    egress_is_guessed: bool,
    metrics: SocketAddr,
    user: String,
    postfix: Option<Postfix>,
}

impl Plan {
    /// Writes it all. What `made` has is taken away again unless it is kept.
    async fn carry_out(&self, made: &mut Made) -> Result<(), Failure> {
        let there = |path: &Path| {
            let path = path.display();
            Failure::new(
                Code::Configuration,
                format!(
                    "`{path}` is there already and is not overwritten: move it away, or choose another place (--dir, --data-dir, --unit)"
                ),
            )
        };
        if let Some(path) =
            [&self.config, &self.unit].into_iter().find(|path| path.symlink_metadata().is_ok())
        {
            return Err(there(path));
        }
        if is_used(&self.data_dir)? {
            return Err(there(&self.data_dir));
        }
        made.file(&self.config, 0o644, &text::configuration(self))?;
        let loaded = config::load_on(&Machine::here(), Some(&self.config), std::iter::empty())?;
        loaded.config.fit_to_serve()?;
        House::rehearse(&loaded.config)?;
        made.tree(&self.data_dir)?;
        let taken = Data::take(&loaded.config, &Clock::system()).await?;
        taken.store.close().await;
        made.step("TLS key")?;
        tls::own_server_config(&self.data_dir, &self.hostname)
            .map_err(|error| Failure::new(Code::Configuration, error))?;
        made.file(&self.unit, 0o644, &text::unit(self))
    }

    fn rehearse(&self) {
        data(&format!("would write {}:\n", self.config.display()));
        data(&text::configuration(self));
        data(&format!(
            "would make {} with a root key, a TLS key and an empty store\n",
            self.data_dir.display()
        ));
        data(&format!("would write {}:\n", self.unit.display()));
        data(&text::unit(self));
        self.tell_postfix();
    }

    fn tell(&self, paths: &[PathBuf]) {
        paths.iter().for_each(|path| data(&format!("made {}", path.display())));
        data("");
        self.tell_postfix();
        data(&text::next_steps(self));
    }

    fn tell_postfix(&self) {
        data(&text::postfix(self));
        text::warnings(self).iter().for_each(|warning| talk(&format!("countersign: {warning}")));
    }

    fn line(&self, paths: &[PathBuf]) -> serde_json::Value {
        let postfix = self.postfix.as_ref().map(|postfix| {
            json!({ "version": postfix.version, "myhostname": postfix.hostname, "mynetworks": postfix.networks })
        });
        json!({
            "v": 1, "made": paths, "config": self.config, "data_dir": self.data_dir, "unit": self.unit,
            "hostname": self.hostname, "egress": self.egress, "postfix": postfix,
            "master_cf": text::master_cf(self), "main_cf": text::main_cf(self.postfix.as_ref()),
            "warnings": text::warnings(self),
        })
    }
}

/// Whether something is there that a new data directory would be mixed with.
fn is_used(dir: &Path) -> Result<bool, Failure> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => {
            Err(Failure::new(Code::Configuration, format!("`{}` cannot be used: {error}", dir.display())))
        }
    }
}

/// What Postfix binds to, else what the routing table picks; nothing when mail leaves elsewhere, or when an address
/// is one that the world does not see.
fn guessed_egress(postfix: Option<&Postfix>) -> Vec<IpNet> {
    let Some(postfix) = postfix.filter(|postfix| postfix.relay_host.is_empty()) else { return vec![] };
    let addresses = postfix.egress();
    let seen = |address: &IpAddr| postfix::is_seen_by_the_world(*address);
    if addresses.iter().all(seen) { addresses.into_iter().map(IpNet::from).collect() } else { vec![] }
}

fn network(text: &str) -> Result<IpNet, Failure> {
    config::parse_network(text).map_err(|why| Failure::usage(format!("--egress `{text}`: {why}")))
}

fn is_domain(hostname: &str, is_said: bool) -> Result<(), Failure> {
    let whose = if is_said { "--hostname" } else { "the name of this machine (say another with --hostname)" };
    let wrong =
        |why| Failure::usage(format!("{whose}: `{}` is no domain name: {why}", hostname.escape_debug()));
    Domain::parse(hostname).map(drop).map_err(wrong)
}

/// A name as POSIX has it (3.426 and 3.265), and as `useradd` takes it.
fn is_user(name: &str) -> Result<(), Failure> {
    let known = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    match (1..=32).contains(&name.len()) && name.bytes().all(known) && !name.starts_with('-') {
        true => Ok(()),
        false => Err(Failure::usage(format!(
            "--user `{}` is no user name: letters, digits, `-`, `_` and `.` are allowed, at most 32, and no `-` in front",
            name.escape_debug()
        ))),
    }
}

/// A path as it can stand on a line of the files that are written.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    if path.to_str().is_none_or(|text| text.contains(char::is_control)) {
        let shown = path.display().to_string();
        let why = "a path of UTF-8 without control characters is needed here";
        return Err(Failure::usage(format!("`{}`: {why}", shown.escape_debug())));
    }
    let cleaned: PathBuf = path.components().collect();
    std::path::absolute(cleaned).map_err(Failure::usage)
}
