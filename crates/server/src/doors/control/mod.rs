//! The control door: HTTP over `data_dir/control.sock` (mode 0600) for the commands of the CLI.
//! Who opens the socket is known by its peer credentials and is the actor of every command.

mod accounts;
pub(super) mod held;
pub(super) mod ledger;
mod problem;
mod rulings;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::extract::connect_info::Connected;
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use countersign_core::ids::AccountId;
use countersign_core::request::Ask;
use countersign_core::request::{Actor, Command, Mode, Request, Submission, Verb};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::accounts::{Account, Directory, PLATFORM};
use crate::acts::{Ending, Means, Reply};
use crate::clock::{Clock, draw_ref};
use crate::doors::Exits;
use crate::gate::Gate;
use crate::probes::Case;
use crate::store::{Keys, Store};

pub use accounts::Apply;
use problem::Problem;

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

/// The local user at the other end.
#[derive(Debug, Clone)]
struct Peer(Actor);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        // Without credentials nobody is anybody: policy permits `local` users only.
        let actor = stream.io().peer_cred();
        let actor =
            actor.map_or_else(|_| Actor::Staff("unknown".to_owned()), |peer| Actor::Local(peer.uid()));
        Self(actor)
    }
}

/// Serves until told to stop.
pub async fn serve(
    listener: UnixListener,
    control: watch::Receiver<Control>,
    mut stop: watch::Receiver<bool>,
) {
    let stopped = async move {
        // The sender is gone only when the process ends.
        let _ended = stop.changed().await;
    };
    let service = routes(control).into_make_service_with_connect_info::<Peer>();
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the control door ended");
    }
}

fn routes(control: watch::Receiver<Control>) -> Router {
    Router::new()
        .route("/v1/held", get(held::list))
        .route("/v1/held/{ref}", get(held::show))
        .route("/v1/held/{ref}/release", post(held::release))
        .route("/v1/held/{ref}/refuse", post(held::refuse))
        .route("/v1/rulings/{ref}", get(rulings::show))
        .route("/v1/accounts", get(accounts::list))
        .route("/v1/accounts/{id}", get(accounts::show))
        .route("/v1/accounts/{id}/block", post(accounts::block))
        .route("/v1/accounts/{id}/unblock", post(accounts::unblock))
        .route("/v1/apply", post(accounts::apply))
        .route("/v1/modes", post(accounts::set_mode))
        .route("/v1/ledger/erase", post(ledger::erase))
        .with_state(Current(control))
}

/// The control of the configuration that counts now.
#[derive(Clone)]
struct Current(watch::Receiver<Control>);

impl FromRef<Current> for Control {
    fn from_ref(current: &Current) -> Self {
        current.0.borrow().clone()
    }
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
                directory.forget();
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
