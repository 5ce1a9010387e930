//! `check message` and `check corpus`: judge messages from files. They need no server and write nothing.

mod circumstances;
mod corpus;
mod file;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) use self::corpus::CheckCorpus;

use self::circumstances::Circumstances;
use self::file::MessageFile;
use super::assume::{self, Assumptions};
use super::config::load;
use super::exit::{Code, Failure, data, talk};
use crate::accounts::sidecar::AuthResults;
use crate::boot::judge;
use crate::gate::Judge;

/// Judge messages from files
#[derive(Debug, clap::Args)]
#[command(after_help = LINE_ENDS)]
pub(super) struct CheckMessage {
    /// Message files; beside X.eml an optional X.toml says account, envelope and more
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    asked: Asked,
    /// One JSON line a file
    #[arg(long)]
    json: bool,
}

/// What is said of every file that is checked.
#[derive(Debug, clap::Args)]
struct Asked {
    /// The gate
    #[arg(long, default_value = "send", value_parser = ["send"])]
    gate: String,
    /// The account that submits
    #[arg(long)]
    account: Option<String>,
    /// The login it uses
    #[arg(long)]
    credential: Option<String>,
    /// The client's address
    #[arg(long)]
    ip: Option<IpAddr>,
    /// The client's name in EHLO
    #[arg(long)]
    helo: Option<String>,
    /// MAIL FROM; `<>` is the null reverse path
    #[arg(long, value_name = "ADDRESS")]
    mail_from: Option<String>,
    /// RCPT TO, as often as there are recipients
    #[arg(long, value_name = "ADDRESS")]
    rcpt: Vec<String>,
    /// Accounts in apply format; proofs in it are trusted
    #[arg(long, value_name = "FILE")]
    accounts: Option<PathBuf>,
    /// Findings to assume, as in spf=pass,domain.exists=pass
    #[arg(long, value_parser = assume::parse, value_name = "KIND=FINDING,...")]
    assume: Option<Assumptions>,
    /// Which Authentication-Results field to believe: `topmost` or an authserv-id (for the receive gate,
    /// which is not built yet)
    #[arg(long, value_parser = AuthResults::parse, value_name = "topmost|ID")]
    trust_auth_results: Option<AuthResults>,
    /// The time to judge at (RFC 3339)
    #[arg(long)]
    now: Option<Timestamp>,
}

impl CheckMessage {
    pub(super) async fn run(self, config: Option<&Path>) -> Result<Code, Failure> {
        let bench = Bench::set(&self.asked, config)?;
        let mut worst = Code::Ok;
        for path in &self.files {
            let (line, code) = match self.asked.judge(path, &bench).await {
                Ok((ruling, normalised, code)) => (told(path, Some(&ruling), normalised, None), code),
                Err(failure) if self.files.len() == 1 => {
                    if self.json {
                        data(&told(path, None, false, Some(&failure.to_string())).to_string());
                    }
                    return Err(failure);
                }
                Err(failure) => (told(path, None, false, Some(&failure.to_string())), failure.code()),
            };
            data(&if self.json { line.to_string() } else { sentence(&line) });
            worst = graver(worst, code);
        }
        Ok(worst)
    }
}

impl Asked {
    async fn judge(&self, path: &Path, bench: &Bench) -> Result<(Value, bool, Code), Failure> {
        let message = MessageFile::read(path)?;
        let circumstances = Circumstances::of(self, path, &message, bench).await?;
        let normalised = message.normalised;
        let (ruling, code) = circumstances.rule(message, bench).await?;
        Ok((ruling, normalised, code))
    }
}

/// What all files are judged with.
struct Bench {
    judge: Judge,
    config: crate::config::Config,
}

impl Bench {
    fn set(asked: &Asked, config: Option<&Path>) -> Result<Self, Failure> {
        let loaded = load(config)?;
        if asked.trust_auth_results.is_some() {
            talk("countersign: --trust-auth-results has no effect: the receive gate is not built yet");
        }
        Ok(Self { judge: judge(&loaded.config)?, config: loaded.config })
    }
}

fn told(path: &Path, ruling: Option<&Value>, normalised: bool, error: Option<&str>) -> Value {
    let decision = ruling.and_then(|r| r.get("decision")).cloned();
    let reasons = ruling.and_then(|r| r.get("reasons")).and_then(Value::as_array);
    let codes: Vec<Value> =
        reasons.into_iter().flatten().filter_map(|reason| reason.get("code")).cloned().collect();
    let mut line = json!({ "v": 1, "file": path.to_string_lossy(), "decision": decision, "reasons": codes, "ruling": ruling, "error": error });
    if let Some(object) = line.as_object_mut().filter(|_| normalised) {
        object.insert("normalised".to_owned(), json!(true));
    }
    line
}

fn sentence(line: &Value) -> String {
    let file = line.get("file").and_then(Value::as_str).unwrap_or_default();
    if let Some(error) = line.get("error").and_then(Value::as_str) {
        return format!("{file}: not judged: {error}");
    }
    let ruling = line.get("ruling").unwrap_or(&Value::Null);
    let decision = ruling.get("decision").and_then(Value::as_str).unwrap_or_default();
    let how = ruling.get("how").and_then(Value::as_str).map(|how| format!(" ({how})")).unwrap_or_default();
    let mut out = format!("{file}: {decision}{how}");
    if line.get("normalised").is_some() {
        out += "\n  normalised: its line ends were turned into CRLF; SMTP would refuse these octets";
    }
    for reason in ruling.get("reasons").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| reason.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        out += &format!("\n  {}: {}\n    {}", text("code"), text("sentence"), text("remedy"));
    }
    out
}

/// Of several files the worst decision counts; what could not be judged is worse than any.
fn graver(one: Code, other: Code) -> Code {
    if gravity(other) > gravity(one) { other } else { one }
}

const fn gravity(code: Code) -> u8 {
    match code {
        Code::Ok => 0,
        Code::Ask => 1,
        Code::Hold => 2,
        Code::Refuse => 3,
        _ => 4,
    }
}

/// A warning of a file, told beside its line.
fn warn(path: &Path, warning: &str) {
    talk(&format!("countersign: {}: {warning}", path.display()));
}

/// What the help of both commands ends with.
const LINE_ENDS: &str = "Files with LF or mixed line ends are turned into CRLF first, which is told (`normalised`). \
                         SMTP never does that: it refuses a bare line feed, so a file may pass here whose octets \
                         would be refused.";

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_not_utf8_is_told_as_it_can_be() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff.eml"));
        let line = told(path, None, false, Some("cannot be read"));
        assert_eq!(line.get("file"), Some(&json!("a\u{fffd}.eml")));
        assert_eq!(sentence(&line), "a\u{fffd}.eml: not judged: cannot be read");
    }

    #[test]
    fn normalised_line_ends_are_told_in_words_too() {
        let ruling = json!({ "decision": "allow", "reasons": [] });
        let words = |normalised| sentence(&told(Path::new("a.eml"), Some(&ruling), normalised, None));
        assert_eq!(words(false), "a.eml: allow");
        assert!(words(true).starts_with("a.eml: allow\n  normalised: "));
    }
}
