//! Commands: held mail, accounts, modes. Each becomes a request with an actor, and a leaf.
//! The API's router calls them, for keys and for the CLI; the clock gives orders of its own.

pub(super) mod accounts;
pub(super) mod held;
pub(super) mod ledger;
pub(super) mod probe;
pub(super) mod rulings;

use std::sync::Arc;

use countersign_core::ids::AccountId;
use countersign_core::request::Ask;
use countersign_core::request::{Actor, Command, Mode, Request, Submission, Verb};
use serde_json::{Value, json};

use crate::accounts::{Account, Directory, PLATFORM};
use crate::acts::{Ending, Means, Reply};
use crate::clock::{Clock, draw_ref};
use crate::doors::Exits;
use crate::doors::api::problem::Problem;
use crate::gate::Gate;
use crate::probes::Case;
use crate::store::{Keys, Store};

pub use accounts::Apply;

/// What commands need.
#[derive(Clone)]
pub struct Control {
    pub gate: Gate,
    pub directory: Directory,
    pub store: Store,
    pub keys: Keys,
    pub clock: Clock,
    pub exits: Exits,
}

/// A command on its way to the gate.
pub(super) struct Order {
    actor: Actor,
    verb: Verb,
    object: String,
    arguments: Value,
    message: Option<Box<Submission>>,
    account: AccountId,
}

impl Control {
    /// Gives a command to the gate.
    pub(super) async fn order(&self, order: Order, means: Means) -> Result<Reply, Problem> {
        let account = match self.directory.account(&order.account).await {
            Ok(account) => account,
            // A command about the platform, or about an account that is only being made.
            Err(_) if order.message.is_none() => Arc::new(Account::unknown(order.account.clone())),
            Err(error) => return Err(Problem::of(error)),
        };
        let command = Command {
            verb: order.verb,
            actor: order.actor,
            object: order.object,
            arguments: order.arguments.to_string(),
            message: order.message,
        };
        let request = Request {
            reference: draw_ref().map_err(Problem::of)?,
            at: self.clock.now(),
            mode: Mode::Enforce,
            account: order.account,
            ask: Ask::Command(command),
        };
        let case = Case { request, account, way: Arc::default() };
        let (gate, directory) = (self.gate.clone(), self.directory.clone());
        let is_rows = matches!(means, Means::Rows(_));
        // Whoever asked may hang up: what has begun goes on to its end.
        let done = self.gate.apart(async move {
            let reply = gate.pass(case, means).await;
            if is_rows {
                directory.changed();
            }
            // What stood in the way of the clock may be gone.
            gate.bell.ring();
            reply
        });
        done.await.map_err(Problem::of)
    }
}

/// What the CLI reads of a command's reply.
fn answer(reply: &Reply) -> Result<axum::Json<Value>, Problem> {
    match &reply.ending {
        Ending::Done => Ok(axum::Json(json!({ "done": true, "ruling": reply.ruling }))),
        Ending::Owed => Ok(axum::Json(json!({ "done": true, "owed": true, "ruling": reply.ruling }))),
        Ending::Stopped => Err(Problem::not_permitted(&reply.ruling)),
        Ending::Conflict => Err(Problem::conflict(&reply.ruling)),
        Ending::Unrecorded(why) => Err(Problem::unavailable("ledger-unavailable", why)),
        Ending::Upstream(why) => Err(Problem::unavailable("upstream-unavailable", why)),
    }
}

fn platform() -> Result<AccountId, Problem> {
    AccountId::parse(PLATFORM).map_err(Problem::of)
}
