//! Notify: whom a ruling must be told, and what we write to them. Only rows: the clock sends them.
//! The gate plans them beside the leaf; no notice is ever written about a notice.

mod letter;
mod report;
mod text;

use std::net::IpAddr;

use countersign_core::address::{Domain, EmailAddress};
use countersign_core::message::Message;
use countersign_core::policy::{Decision, Ruling};
use countersign_core::reason;
use countersign_core::request::{Ask, Command, Request, Submission, Verb};
use countersign_wire::limits::Limits;
use countersign_wire::smtp::parameters::{Notify, RcptParameters};
use countersign_wire::smtp::reply::Reply;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use self::letter::Header;
use self::report::{EXPIRED, REFUSED, Report};
use self::text::{Words, fill, word};
use crate::accounts::Account;
use crate::acts::Means;
use crate::custody::{Held, HeldMail};
use crate::seal::SealError;
use crate::store::lease::later;
use crate::store::outbox::{self, MailKind, Outgoing};
use crate::store::{Keys, Write};

/// What writing notices needs.
#[derive(Clone)]
pub struct Notifier {
    pub keys: Keys,
    /// Our name in reports and Message-IDs.
    pub hostname: Domain,
}

/// A mail before it is sealed.
struct Draft {
    id: String,
    kind: MailKind,
    to: EmailAddress,
    octets: Vec<u8>,
    remember_until: Timestamp,
    at_most: Option<(String, u32)>,
}

/// Why held mail does not reach somebody.
struct Failure {
    template: &'static str,
    /// RFC 3463.
    status: String,
    /// What the upstream said.
    diagnostic: Option<String>,
    /// What tells its reports from others about the same mail.
    name: String,
}

impl Notifier {
    /// The rows of everything that must be told. What cannot be written down is logged: a notice never
    /// stops what it is about.
    pub async fn plan(
        &self,
        request: &Request,
        account: &Account,
        ruling: &Ruling,
        means: &Means,
    ) -> Vec<Write> {
        self.sealed(ruling, self.drafts(request, account, ruling, means)).await
    }

    async fn sealed(&self, ruling: &Ruling, drafts: Vec<Draft>) -> Vec<Write> {
        let mut rows = Vec::new();
        for draft in drafts {
            let id = draft.id.clone();
            match self.seal(ruling, draft).await {
                Ok(row) => rows.push(row),
                Err(error) => {
                    tracing::error!(%error, "account.id" = %ruling.account(), id, "a notice cannot be written");
                }
            }
        }
        rows
    }

    fn drafts(&self, request: &Request, account: &Account, ruling: &Ruling, means: &Means) -> Vec<Draft> {
        match (&request.ask, means) {
            (Ask::Send(submission), _) => self.elsewhere(submission, account, ruling).into_iter().collect(),
            (Ask::Command(_), _) if ruling.decision() != Decision::Allow => vec![],
            (Ask::Command(command), Means::Held { held, mail: Some(mail), .. }) => {
                self.ended(command.verb, account, ruling, held, mail)
            }
            (Ask::Command(command), _) => self.standing(command, account, ruling).into_iter().collect(),
        }
    }

    async fn seal(&self, ruling: &Ruling, draft: Draft) -> Result<Write, SealError> {
        let key = self.keys.of(ruling.account()).await?;
        let plain = outbox::enclosed(&draft.to, &draft.octets);
        let sealed = key.seal(&outbox::tie(ruling.account(), &draft.id), &plain)?;
        let Draft { id, kind, remember_until, at_most, .. } = draft;
        let account = ruling.account().clone();
        Ok(Outgoing { account, id, kind, sealed, at: ruling.at(), remember_until, at_most }.put())
    }

    /// Somebody who signed in came from a network that is not the account's.
    fn elsewhere(&self, submission: &Submission, account: &Account, ruling: &Ruling) -> Option<Draft> {
        ruling.reasons().iter().find(|cause| cause.code == "network-not-yours")?;
        let ip = submission.client.ip?;
        let day = ruling.at().to_zoned_datetime(TimeZone::UTC).date();
        let outcome = match ruling.binding() {
            Decision::Allow => "This gate only observes, so the mail was let through.",
            Decision::Ask | Decision::Hold | Decision::Refuse => "The mail was not accepted.",
        };
        let mut words = self.words(ruling);
        words.insert("ip", ip.to_string());
        words.insert("login", word(&submission.credential));
        words.insert("outcome", outcome.to_owned());
        let text = fill(include_str!("../notices/network.txt"), &words);
        let prefix = format!("network:{day}:");
        // Nobody reads in the store from where it came.
        let network =
            hex(self.keys.pseudonym("notice-network", &format!("{} {}", account.id, network_of(ip))));
        let mut draft = self.notice(account, ruling, format!("{prefix}{network}"), &text)?;
        draft.remember_until = later(ruling.at(), SignedDuration::from_hours(24));
        draft.at_most = Some((prefix, MOST_NETWORKS));
        Some(draft)
    }

    /// An account was blocked, or is no longer.
    fn standing(&self, command: &Command, account: &Account, ruling: &Ruling) -> Option<Draft> {
        let (what, template) = match command.verb {
            Verb::AccountBlock => ("blocked", include_str!("../notices/blocked.txt")),
            Verb::AccountUnblock => ("unblocked", include_str!("../notices/unblocked.txt")),
            _ => return None,
        };
        let arguments: serde_json::Value = serde_json::from_str(&command.arguments).unwrap_or_default();
        let reason = arguments.get("reason").and_then(serde_json::Value::as_str).unwrap_or("none given");
        let mut words = self.words(ruling);
        words.insert("reason", word(reason));
        words.insert("what", word(&part_of(&arguments, account)));
        let text = fill(template, &words);
        self.notice(account, ruling, outbox::id_about(what, ruling.reference()), &text)
    }

    /// Held mail will not be sent: its account's owner hears of it, and its sender if that is the account.
    fn ended(
        &self,
        verb: Verb,
        account: &Account,
        ruling: &Ruling,
        held: &Held,
        mail: &HeldMail,
    ) -> Vec<Draft> {
        let (template, status) = match verb {
            Verb::HeldRefuse => (include_str!("../notices/refused.txt"), REFUSED),
            Verb::HeldExpire => (include_str!("../notices/expired.txt"), EXPIRED),
            _ => return vec![],
        };
        let everybody: Vec<_> = mail.recipients().collect();
        let failure = Failure { template, status: status.to_owned(), diagnostic: None, name: String::new() };
        self.failed(&failure, account, ruling, held, mail, &everybody)
    }

    /// The rows of reports that the upstream refused a recipient of held mail for good when it was released.
    #[expect(clippy::too_many_arguments, reason = "each is one thing that the report says")]
    pub(super) async fn undeliverable(
        &self,
        ruling: &Ruling,
        account: &Account,
        held: &Held,
        mail: &HeldMail,
        place: usize,
        name: &str,
        reply: &Reply,
    ) -> Vec<Write> {
        let failure = Failure {
            template: include_str!("../notices/undeliverable.txt"),
            // RFC 3463 3.1: "Other undefined Status", when the upstream gives none.
            status: reply.enhanced().map_or_else(|| "5.0.0".to_owned(), |status| status.to_string()),
            diagnostic: Some(reply.to_string()),
            name: format!(":{name}"),
        };
        let recipient: Vec<_> = mail.recipients().skip(place).take(1).collect();
        let drafts = self.failed(&failure, account, ruling, held, mail, &recipient);
        self.sealed(ruling, drafts).await
    }

    /// Reports to the owner of the account and, if that is the account, to the sender.
    fn failed(
        &self,
        failure: &Failure,
        account: &Account,
        ruling: &Ruling,
        held: &Held,
        mail: &HeldMail,
        everybody: &[(&EmailAddress, &RcptParameters)],
    ) -> Vec<Draft> {
        // RFC 5321 3.6.3: "SMTP servers MUST NOT send notification messages about problems transporting
        // notification messages."
        let Some(sender) = mail.envelope.mail_from.as_ref().filter(|_| held.gate == "send") else {
            return vec![];
        };
        // RFC 3461 4.1: with NOTIFY the sender hears of those failures only that it asked for.
        let asked: Vec<_> = everybody.iter().copied().filter(|(_, said)| asks_for_failure(said)).collect();
        let sender = Some(sender).filter(|sender| account.has_proved(sender.domain()) && !asked.is_empty());
        let owner = account.owner_email.as_ref();
        let mut drafts = Vec::new();
        let sender = sender.filter(|sender| owner != Some(*sender));
        for (who, to, about) in [("owner", owner, everybody), ("sender", sender, &asked)] {
            let Some(to) = to.filter(|to| can_be_written(to)) else { continue };
            let id = format!("dsn:{}:{who}{}", held.reference, failure.name);
            let octets = self.dsn(&id, to, failure, ruling, held, mail, about);
            let (kind, remember_until) = (MailKind::Dsn, Timestamp::UNIX_EPOCH);
            drafts.push(Draft { id, kind, to: to.clone(), octets, remember_until, at_most: None });
        }
        drafts
    }

    #[expect(clippy::too_many_arguments, reason = "each is one thing that the report says")]
    fn dsn(
        &self,
        id: &str,
        to: &EmailAddress,
        failure: &Failure,
        ruling: &Ruling,
        held: &Held,
        mail: &HeldMail,
        recipients: &[(&EmailAddress, &RcptParameters)],
    ) -> Vec<u8> {
        let mut words = self.words(ruling);
        words.insert("held", held.reference.to_string());
        words.insert("held_at", held.at.to_string());
        words.insert("recipients", list(recipients.iter().map(|(to, _)| to.to_string())));
        words.insert("reasons", list(held.reasons.iter().map(|code| because(code))));
        let (delivered, sent) = if held.in_doubt { IN_DOUBT } else { UNDELIVERED };
        words.insert("delivered", delivered.to_owned());
        words.insert("sent", sent.to_owned());
        words.insert("diagnostic", word(failure.diagnostic.as_deref().unwrap_or_default()));
        let text = fill(failure.template, &words);
        let report = Report {
            hostname: self.hostname.as_str(),
            reference: held.reference,
            arrived: held.at,
            envelope_id: mail.parameters.mail.envid.as_deref(),
            recipients: recipients.iter().map(|(to, said)| (*to, said.orcpt.as_deref())).collect(),
            status: &failure.status,
            diagnostic: failure.diagnostic.as_deref(),
        };
        let message = Message::read(mail.bytes.clone().into(), &Limits::default());
        let (to, name) = (to.to_string(), self.name(ruling, id));
        let header = self.header(&to, &text.subject, ruling, &name, "auto-replied");
        letter::report(&header, &text.body, &report.text(), without_last_line(message.header_bytes()))
    }

    /// A notice to the owner of an account, if it has one.
    fn notice(&self, account: &Account, ruling: &Ruling, id: String, text: &text::Text) -> Option<Draft> {
        let to = account.owner_email.as_ref().filter(|to| can_be_written(to))?;
        let (address, name) = (to.to_string(), self.name(ruling, &id));
        let header = self.header(&address, &text.subject, ruling, &name, "auto-generated");
        let octets = letter::plain(&header, &text.body);
        let (kind, remember_until) = (MailKind::Notice, Timestamp::UNIX_EPOCH);
        Some(Draft { id, kind, to: to.clone(), octets, remember_until, at_most: None })
    }

    fn header<'a>(
        &'a self,
        to: &'a str,
        subject: &'a str,
        ruling: &Ruling,
        name: &'a str,
        automatic: &'static str,
    ) -> Header<'a> {
        Header { to, subject, at: ruling.at(), name, hostname: self.hostname.as_str(), automatic }
    }

    /// The words that every text may use.
    fn words(&self, ruling: &Ruling) -> Words {
        Words::from([
            ("account", ruling.account().to_string()),
            ("at", ruling.at().to_string()),
            ("hostname", self.hostname.to_string()),
            ("ref", ruling.reference().to_string()),
        ])
    }

    /// A name that is always the same for a mail, so that one sent twice is recognised, and tells nothing.
    fn name(&self, ruling: &Ruling, id: &str) -> String {
        hex(self.keys.pseudonym("message-id", &format!("{} {id}", ruling.account())))
    }
}

/// What a block is about: the account, or one login or domain of it.
fn part_of(arguments: &serde_json::Value, account: &Account) -> String {
    let text = |name: &str| arguments.get(name).and_then(serde_json::Value::as_str);
    match (text("domain"), text("credential")) {
        (Some(domain), _) => format!("Domain {domain} of account {}", account.id),
        (None, Some(login)) => format!("Login {login} of account {}", account.id),
        (None, None) => format!("Account {}", account.id),
    }
}

fn hex(octets: [u8; 16]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn asks_for_failure(said: &RcptParameters) -> bool {
    match said.notify {
        None => true,
        Some(Notify::Never) => false,
        Some(Notify::On { failure, .. }) => failure,
    }
}

/// The header section without the empty line that ends it.
fn without_last_line(headers: &[u8]) -> &[u8] {
    match headers.strip_suffix(b"\r\n") {
        Some(fields) if fields.ends_with(b"\r\n") => fields,
        _ => headers,
    }
}

/// The /24 or /48 of an address.
fn network_of(ip: IpAddr) -> String {
    let length = if ip.is_ipv4() { 24 } else { 48 };
    ipnet::IpNet::new(ip, length).map_or_else(|_| ip.to_string(), |network| network.trunc().to_string())
}

/// RFC 6531 3.1: an address that is not ASCII needs an upstream with SMTPUTF8. We write none to those yet.
fn can_be_written(to: &EmailAddress) -> bool {
    let ascii = to.to_string().is_ascii();
    if !ascii {
        tracing::warn!(%to, "a notice is not written: its recipient's address is not ASCII");
    }
    ascii
}

fn because(code: &str) -> String {
    let remedy = reason::find(code).map_or("ask the operator", |reason| reason.remedy);
    format!("{code}: {remedy}")
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.map(|item| format!("    {}\n", word(&item))).collect()
}

/// What a report says of mail that never left.
const UNDELIVERED: (&str, &str) = ("Undelivered", "It was not sent to:");
/// And of mail whose release was interrupted. RFC 3464 2.3.3 has no word for it: "failed" is what we know of
/// our own part, and the text says the rest.
const IN_DOUBT: (&str, &str) = (
    "Perhaps undelivered",
    "An attempt to\nrelease it was interrupted: it may have been delivered all the same. It was for:",
);
/// So many networks an account's owner hears of in a day.
const MOST_NETWORKS: u32 = 20;

#[cfg(test)]
mod tests;
