//! Erasure by command, and by the clock: what was said goes, that something was said stays.

use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use countersign_core::ids::{AccountId, Ref};
use countersign_core::request::{Actor, Verb};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Control, Order, answer, platform};
use crate::acts::Means;
use crate::doors::api::caller::Caller;
use crate::doors::api::json as read;
use crate::doors::api::problem::{Kind, Problem};
use crate::store::{self, Erasure, Expired};

/// What is to be erased: one of the two.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Erase {
    r#ref: Option<String>,
    account: Option<String>,
}

pub(in crate::doors) async fn erase(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let asked: Erase = read(&body, ERASE)?;
    match (asked.r#ref, asked.account) {
        (Some(reference), None) => control.erase_reference(caller.actor, &reference).await,
        (None, Some(account)) => control.erase_account(caller.actor, &account).await,
        _ => Err(Problem::bad_request("name a ref or an account, one of them")),
    }
}

impl Control {
    async fn erase_reference(&self, actor: Actor, reference: &str) -> Result<Json<Value>, Problem> {
        let reference = Ref::parse(reference).map_err(|error| Problem::bad_request(error.to_string()))?;
        let found = store::erase_reference(&self.store, reference).await.map_err(Problem::of)?;
        let unknown = || Problem::not_found(format!("no ruling has the ref `{reference}`"));
        let erasure = found.ok_or_else(unknown)?;
        if erasure.payloads == 0 {
            let gone = format!("what was said under `{reference}` is erased already");
            return Err(Problem::new(Kind::Erased, gone));
        }
        let account = erasure.account.clone();
        self.erased(actor, reference.as_str(), account, erasure, Value::Null).await
    }

    /// With the account goes its key, so that no copy opens either; unless other nodes may be sealing with it.
    async fn erase_account(&self, actor: Actor, id: &str) -> Result<Json<Value>, Problem> {
        let id = AccountId::parse(id).map_err(|error| Problem::bad_request(error.to_string()))?;
        if id == AccountId::platform() {
            return Err(Problem::bad_request(
                "what is said about the platform is erased by ref, not as a whole",
            ));
        }
        // An account that is known no more does nothing either.
        let acts = self.directory.account(&id).await.is_ok_and(|account| account.blocked.is_none());
        if acts {
            return Err(Problem::over(format!("account `{id}` may act: block it first, then erase it")));
        }
        if store::is_sealed_for(&self.store, &id).await.map_err(Problem::of)? {
            let why = "has held mail or notices on their way: release or refuse what is held, then erase it";
            return Err(Problem::over(format!("account `{id}` {why}")));
        }
        let and_key = !self.store.is_shared();
        let erasure = store::erase_account(&self.store, &id, and_key).await.map_err(Problem::of)?;
        let key = if and_key { "destroyed" } else { "kept" };
        let done = self.erased(actor, id.as_str(), platform()?, erasure, json!({ "key": key })).await;
        self.keys.forget(&id);
        done
    }

    async fn erased(
        &self,
        actor: Actor,
        object: &str,
        account: AccountId,
        erasure: Erasure,
        more: Value,
    ) -> Result<Json<Value>, Problem> {
        let arguments = json!({ "payloads": erasure.payloads, "more": more });
        let order = Order {
            actor,
            verb: Verb::LedgerErase,
            object: object.to_owned(),
            arguments,
            message: None,
            account,
        };
        let reply = self.order(order, Means::Rows(erasure.writes)).await?;
        let Json(mut answer) = answer(&reply)?;
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("payloads".to_owned(), json!(erasure.payloads));
            answer.extend(more.as_object().cloned().into_iter().flatten());
        }
        Ok(Json(answer))
    }
}

/// The command of the clock that takes expired payloads away.
pub(in crate::doors) fn expire(expired: &Expired) -> Order {
    Order {
        actor: Actor::Clock,
        verb: Verb::LedgerExpire,
        object: expired.origin.clone(),
        arguments: json!({ "from": expired.from, "to": expired.to, "payloads": expired.payloads }),
        message: None,
        account: AccountId::platform(),
    }
}

/// The fields of an erasure.
pub(in crate::doors) const ERASE: &[&str] = &["ref", "account"];
