//! Evaluation: a message is ruled on as it would be over SMTP, the ruling is recorded, and nothing is done:
//! whoever asked acts on it. The API calls it.

use countersign_core::policy::{Ruling, refuse_bytes};
use countersign_core::reason::Reason;
use serde_json::{Value, json};

use super::{Gate, judge};
use crate::acts::{self, Ending, Means, Reply};
use crate::custody::Parameters;
use crate::probes::Case;
use crate::store::RecordError;
use crate::transit::Attempt;

/// What is asked beside the message.
pub struct Evaluation {
    /// Whether the ruling becomes an entry of the ledger.
    pub record: bool,
    /// Who asks, as the ledger writes it.
    pub by: String,
    /// What SMTP would have refused while it read: the reason, and its detail.
    pub on_the_wire: Option<(&'static Reason, String)>,
}

impl Gate {
    /// Rules on a message that somebody else holds.
    pub async fn evaluate(&self, mut case: Case, asked: Evaluation) -> Reply {
        let ruling = match &asked.on_the_wire {
            Some((reason, detail)) => refuse_bytes(&case.request, reason, detail, self.judge.rules.digest()),
            None => match self.ruled(&mut case).await {
                Ok(ruling) => ruling,
                Err(reply) => return reply,
            },
        };
        match asked.record {
            true => self.recorded(&case, ruling, &asked.by).await,
            false => Reply::of_ruling(&ruling, Ending::Done),
        }
    }

    async fn recorded(&self, case: &Case, ruling: Ruling, by: &str) -> Reply {
        judge::count(&ruling);
        let particulars = particulars(case, by);
        match self.ledger.record(ruling.clone(), particulars.clone(), vec![]).await {
            Ok(_) => Reply::of_ruling(&ruling, Ending::Done),
            Err(error) if acts::may_be_owed(&ruling) => {
                if let Some(unsaid) = super::OWED.turn() {
                    tracing::error!(%error, unsaid, "ledger.ref" = %ruling.reference(), "a ruling is owed to the ledger");
                }
                Reply::of_ruling(self.ledger.owe(ruling, particulars, vec![]).ruling(), Ending::Owed)
            }
            Err(error @ RecordError::Full(_)) => Reply::full(&ruling, &error),
            Err(error) => Reply::unrecorded(&ruling, &error),
        }
    }
}

/// As for a submission, and who asked; that it is an evaluation shows that nothing followed.
fn particulars(case: &Case, by: &str) -> Value {
    let means = Means::Letter { outgoing: None, refused: vec![], parameters: Parameters::default() };
    let mut particulars = acts::particulars(&case.request, &means, &Attempt::Untracked);
    if let Some(particulars) = particulars.as_object_mut() {
        particulars.insert("evaluated".to_owned(), json!({ "by": by }));
    }
    particulars
}
