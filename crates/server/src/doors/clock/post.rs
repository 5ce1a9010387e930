//! The post: mail of ours that is due goes through our own send gate, as the notice account, and is judged
//! like everybody's. The clock sends it; `/readyz` says what stands in its way.

use std::sync::Arc;

use bytes::Bytes;
use countersign_core::address::{Domain, EmailAddress};
use countersign_core::ids::AccountId;
use countersign_core::message::Message;
use countersign_core::policy::{Decision, HoldAs, How, Ruling};
use countersign_core::request::{Ask, Client, Envelope, Mode, Request, Submission};
use countersign_wire::limits::Limits;
use countersign_wire::smtp::command::{Mail, Rcpt, Recipient};
use countersign_wire::smtp::parameters::{MailParameters, RcptParameters};
use countersign_wire::smtp::path::Path;
use countersign_wire::smtp::reply::Reply as SmtpReply;
use jiff::Timestamp;

use crate::accounts::{Account, Directory};
use crate::acts::{Ending, Means, Reply};
use crate::clock::{Clock, draw_jitter, draw_ref};
use crate::custody::Parameters;
use crate::doors::{Exit, Exits};
use crate::gate::Gate;
use crate::net::Transaction;
use crate::probes::Case;
use crate::store::lease::{back_off, later};
use crate::store::outbox::{self, Letter};
use crate::store::{Keys, Store, StoreError, Write};

/// What sending our own mail needs.
#[derive(Clone)]
pub struct Post {
    pub gate: Gate,
    pub directory: Directory,
    pub exits: Exits,
    pub store: Store,
    pub keys: Keys,
    pub clock: Clock,
    pub hostname: Domain,
    /// `[server] notice_account` and `notice_from`.
    pub sender: Option<(AccountId, EmailAddress)>,
}

/// Who sends: the notice account, its author address, and the way out.
struct Sender {
    account: Arc<Account>,
    from: EmailAddress,
    exit: Exit,
}

/// What became of a letter.
enum Fate {
    /// The upstream has it, or custody has.
    Left,
    /// It is tried again.
    Again(String),
    /// It will never leave.
    Never(String),
}

impl Post {
    /// What stands in the way of all of our mail, if anything does.
    pub async fn obstacle(&self) -> Option<String> {
        self.sender().await.err()
    }

    /// Sends what is due, and says when the next letter is. While something stands in the way of all,
    /// letters stay where they are.
    pub(super) async fn round(&self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        for (account, id) in outbox::tidy(&self.store, self.clock.now()).await? {
            tracing::error!("account.id" = %account, id, "a notice could not be sent for 5 days and is given up");
        }
        let Ok(sender) = self.sender().await else { return Ok(None) };
        loop {
            let due = outbox::due(&self.store, name, self.clock.now(), AT_ONCE).await?;
            if due.is_empty() {
                return outbox::next(&self.store).await;
            }
            let sent = due.iter().map(|letter| self.send(&sender, letter));
            for done in futures_util::future::join_all(sent).await {
                done?;
            }
        }
    }

    async fn sender(&self) -> Result<Sender, String> {
        let (id, from) = self.sender.clone().ok_or_else(|| NOT_SET.to_owned())?;
        let account = self.directory.account(&id).await.map_err(|error| error.to_string())?;
        match account.block_on(CREDENTIAL, &[from.domain()]) {
            Some(("domain", _)) => {
                return Err(format!("the domain of `notice_from`, `{}`, is blocked", from.domain()));
            }
            Some(("credential", _)) => {
                return Err(format!("the login `{CREDENTIAL}` of the notice account `{id}` is blocked"));
            }
            Some(_) => return Err(format!("the notice account `{id}` is blocked")),
            None => {}
        }
        if !account.networks.is_empty() {
            return Err(format!("the notice account `{id}` has `networks`, and its mail comes from none"));
        }
        if !account.has_proved(from.domain()) {
            return Err(format!("the notice account `{id}` has not proved `{}`", from.domain()));
        }
        if !from.to_string().is_ascii() {
            return Err(format!("`notice_from` is `{from}`: an address in ASCII is needed"));
        }
        let exit = self.exits.of(&account).cloned();
        let exit = exit.ok_or_else(|| format!("the notice account `{id}` has no upstream"))?;
        Ok(Sender { account, from, exit })
    }

    async fn send(&self, sender: &Sender, letter: &Letter) -> Result<(), StoreError> {
        let fate = match self.begin(sender, letter).await {
            Ok((case, outgoing)) => {
                // Mail of ours waits in the outbox, not in custody.
                let mut gate = self.gate.clone();
                gate.judge.hold = HoldAs(How::Defer);
                let means = Means::Letter {
                    outgoing: Some(outgoing),
                    refused: vec![],
                    parameters: Parameters::default(),
                };
                return self.settle(letter, gate.pass(case, means).await).await;
            }
            Err(fate) => fate,
        };
        self.store.change(&self.rows(letter, &fate)).await
    }

    /// The request, and the upstream with the recipient accepted.
    async fn begin(&self, sender: &Sender, letter: &Letter) -> Result<(Case, Transaction), Fate> {
        let again = |why: &dyn std::fmt::Display| Fate::Again(why.to_string());
        let key = self.keys.of(&letter.account).await.map_err(|error| again(&error))?;
        let stored =
            key.open(&letter.tie(), &letter.sealed).map_err(|error| Fate::Never(error.to_string()))?;
        let (to, message) =
            letter.disclosed(stored).ok_or_else(|| Fate::Never("it is damaged".to_owned()))?;
        let mut octets = format!("From: <{}>\r\n", sender.from).into_bytes();
        octets.extend(message);
        let outgoing = address(&sender.exit, &to).await?;
        let submission = Submission {
            credential: CREDENTIAL.to_owned(),
            client: Client { helo: self.hostname.to_string(), ..Client::default() },
            envelope: Envelope { mail_from: None, recipients: vec![to] },
            message: Arc::new(Message::read(Bytes::from(octets), &Limits::default())),
        };
        let request = Request {
            reference: draw_ref().map_err(|error| again(&error))?,
            at: self.clock.now(),
            mode: Mode::Enforce,
            account: sender.account.id.clone(),
            ask: Ask::Send(Box::new(submission)),
        };
        let way = Arc::clone(&sender.exit.way);
        Ok((Case { request, account: Arc::clone(&sender.account), way }, outgoing))
    }

    /// The row goes with the outcome. If that is lost, the letter is sent again: at least once, never not.
    async fn settle(&self, letter: &Letter, reply: Reply) -> Result<(), StoreError> {
        let rows = self.rows(letter, &fate(&reply));
        let Some(outcome) = reply.outcome else { return self.store.change(&rows).await };
        let recorded = self.gate.ledger.outcome(outcome.reference, &outcome.account, outcome.value, {
            let mut writes = outcome.writes;
            writes.extend(rows);
            writes
        });
        if let Err(error) = recorded.await {
            tracing::error!(%error, "ledger.ref" = %outcome.reference, id = letter.id, "an outcome is not recorded");
        } else if let Some(passage) = &reply.passage {
            self.gate.heard(passage);
        }
        Ok(())
    }

    fn rows(&self, letter: &Letter, fate: &Fate) -> Vec<Write> {
        let now = self.clock.now();
        match fate {
            Fate::Left => letter.sent(now),
            Fate::Again(why) => {
                tracing::warn!(why, "account.id" = %letter.account, id = letter.id, attempts = letter.attempts, "a notice waits");
                vec![letter.again(kept(why), later(now, back_off(letter.attempts, draw_jitter())))]
            }
            Fate::Never(why) => {
                tracing::error!(why, "account.id" = %letter.account, id = letter.id, "a notice cannot be sent");
                vec![letter.failed(kept(why))]
            }
        }
    }
}

/// What is kept of a reason: the codes of a reply, or our own sentence up to its cause. The words of others may
/// have addresses in them; the log has them.
fn kept(why: &str) -> &str {
    let is_code = |text: &str| text.split([' ', '.']).all(|part| part.parse::<u16>().is_ok());
    let ends = why.match_indices(' ').map(|(at, _)| at).chain([why.len()]);
    let codes = ends.filter_map(|end| why.get(..end)).take_while(|text| is_code(text)).last();
    codes.or_else(|| why.split(": ").next()).unwrap_or_default()
}

fn fate(reply: &Reply) -> Fate {
    let code = reply.ruling.reasons().first().map_or("no reason", |cause| cause.code).to_owned();
    match &reply.ending {
        Ending::Done => Fate::Left,
        Ending::Stopped | Ending::Owed => match (reply.ruling.binding(), reply.ruling.how()) {
            // It was blocked while the letter was on its way: a block deletes nothing, and it ends.
            (Decision::Refuse, _) if is_block(&reply.ruling) => Fate::Again(code),
            (Decision::Refuse, _) => Fate::Never(code),
            // An operator's policy said so by name: it waits for a person, like everybody's.
            (Decision::Hold, Some(How::Custody)) => Fate::Left,
            (_, _) => Fate::Again(code),
        },
        Ending::Upstream(why) if reply.smtp.code() / 100 == 5 => Fate::Never(why.clone()),
        Ending::Upstream(why) | Ending::Unrecorded(why) => Fate::Again(why.clone()),
        Ending::Conflict => Fate::Again("somebody else acts on it".to_owned()),
    }
}

fn is_block(ruling: &Ruling) -> bool {
    let mut codes = ruling.reasons().iter().map(|cause| cause.code);
    codes.any(|code| matches!(code, "account-blocked" | "domain-blocked" | "credential-blocked"))
}

/// MAIL FROM:<> and the recipient.
async fn address(exit: &Exit, to: &EmailAddress) -> Result<Transaction, Fate> {
    let again = |why: &dyn std::fmt::Display| Fate::Again(why.to_string());
    let path = Path::parse(&to.to_string()).map_err(|error| Fate::Never(error.to_string()))?;
    let mut outgoing = exit.upstream.begin().await.map_err(|error| again(&error))?;
    // RFC 3834 3.3: the reverse path of an automatic message is empty, so that nothing answers it.
    let mail = Mail { sender: None, parameters: MailParameters::default() };
    let mut reply = outgoing.mail(&mail).await.map_err(|error| again(&error))?;
    if reply.is_positive() {
        let rcpt = Rcpt { recipient: Recipient::Mailbox(path), parameters: RcptParameters::default() };
        reply = outgoing.rcpt(&rcpt).await.map_err(|error| again(&error))?;
    }
    if reply.is_positive() {
        return Ok(outgoing);
    }
    outgoing.abandon().await;
    Err(refused(&reply))
}

fn refused(reply: &SmtpReply) -> Fate {
    match reply.code() / 100 {
        5 => Fate::Never(reply.to_string()),
        _ => Fate::Again(reply.to_string()),
    }
}

/// The login under which our own mail is counted and recorded.
const CREDENTIAL: &str = "clock";
const AT_ONCE: u32 = 8;
const NOT_SET: &str = "`[server] notice_account` and `notice_from` are not set";

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn of_a_reason_the_words_of_others_are_not_kept() {
        let cases = [
            ("550 5.1.1 <ana@reader.example> is unknown", "550 5.1.1"),
            ("451 ana", "451"),
            ("421", "421"),
            (
                "nobody answers at `mx.example`: refused <ana@reader.example>",
                "nobody answers at `mx.example`",
            ),
            ("domain-unproved", "domain-unproved"),
            ("", ""),
        ];
        for (why, expected) in cases {
            assert_eq!(kept(why), expected);
        }
    }
}
