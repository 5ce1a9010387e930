//! The routes: one table, from which the router and the OpenAPI document are made.
//! Both listeners serve the router.

use axum::Router;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};

use super::body::Takes;
use super::caller::Needs;
use super::guard::{self, Guard};
use super::page::{AFTER, LIMIT};
use super::query::{Parameter, ParameterKind};
use super::{Current, evaluate, ledger, openapi, problem, proofs};
use crate::accounts::KeyScope;
use crate::doors::control::{self, accounts, held, probe, rulings};

/// One thing that can be asked.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// Its name in the OpenAPI document.
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    pub(super) needs: Needs,
    pub(super) query: &'static [Parameter],
    pub(super) takes: Takes,
    pub(super) gives: Gives,
    handler: MethodRouter<Current>,
}

/// What a route answers when all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    /// JSON of this schema.
    Json(&'static str),
    /// The same, with an ETag.
    Tagged(&'static str),
    /// The same, with a Link to the next page.
    Page(&'static str),
    /// A text of this type.
    Text(&'static str),
}

/// The router of both listeners.
pub(super) fn router(current: &Current) -> Router {
    let mut router = Router::new();
    for route in table() {
        let guard =
            Guard { current: current.clone(), needs: route.needs, query: route.query, takes: route.takes };
        router = router.route(route.path, route.handler.layer(from_fn_with_state(guard, guard::pass)));
    }
    router
        .fallback(guard::no_such_path)
        .method_not_allowed_fallback(guard::no_such_method)
        .layer(from_fn(guard::named))
        .with_state(current.clone())
}

/// Every route. // flat table
pub(super) fn table() -> Vec<Route> {
    use Gives::{Json, Page, Tagged, Text};
    use KeyScope::{AccountsRead, AccountsWrite, Evaluate, HeldRead, HeldWrite, LedgerRead, RulingsRead};
    vec![
        Route {
            query: evaluate::QUERY,
            takes: Takes::Message,
            ..Route::post("/v1/evaluate", "evaluate", Evaluate, Json("Ruling"), post(evaluate::evaluate))
        }
        .says("Have a message judged as over SMTP: a ruling, whatever it decides"),
        Route::get("/v1/rulings/{ref}", "showRuling", RulingsRead, Json("RulingFound"), get(rulings::show))
            .says("A ruling by its ref, with what became of it"),
        Route {
            query: HELD,
            ..Route::get("/v1/held", "listHeld", HeldRead, Page("HeldPage"), get(held::list))
        }
        .says("Held mail, newest first"),
        Route::get("/v1/held/{ref}", "showHeld", HeldRead, Tagged("Held"), get(held::show))
            .says("One held mail"),
        Route::post("/v1/held/{ref}/release", "releaseHeld", HeldWrite, Json("Done"), post(held::release))
            .says("Send held mail on; answers after the MTA's 250"),
        Route::post("/v1/held/{ref}/refuse", "refuseHeld", HeldWrite, Json("Done"), post(held::refuse))
            .says("Refuse held mail; the message is then gone"),
        Route {
            query: PAGE,
            ..Route::get(
                "/v1/ledger/entries",
                "listEntries",
                LedgerRead,
                Page("EntryPage"),
                get(ledger::list),
            )
        }
        .says("Entries of the ledger, newest first"),
        Route::get("/v1/ledger/entries/{ref}", "showEntries", LedgerRead, Json("Entries"), get(ledger::show))
            .says("The entries of a ref, oldest first"),
        Route::get("/v1/ledger/head", "showHeads", LedgerRead, Json("Heads"), get(proofs::head))
            .says("The last checkpoint of each log, and the key that verifies it"),
        Route {
            query: proofs::LOG,
            ..Route::get(
                "/v1/ledger/checkpoint",
                "showCheckpoint",
                LedgerRead,
                Text("text/plain"),
                get(proofs::checkpoint),
            )
        }
        .says("The last checkpoint of a log, as it was signed (a note)"),
        Route::get("/v1/ledger/proof/{ref}", "prove", LedgerRead, Json("Proofs"), get(proofs::proof))
            .says("That the entries of a ref are in their log"),
        Route::get("/v1/accounts", "listAccounts", AccountsRead, Json("Accounts"), get(accounts::list))
            .says("The accounts that the key sees"),
        Route::get("/v1/accounts/{id}", "showAccount", AccountsRead, Json("Account"), get(accounts::show))
            .says("One account"),
        Route {
            takes: Takes::Json("Block", accounts::BLOCK),
            ..Route::post(
                "/v1/accounts/{id}/block",
                "blockAccount",
                AccountsWrite,
                Json("Done"),
                post(accounts::block),
            )
        }
        .says("Stop an account, one of its logins or a domain"),
        Route {
            takes: Takes::Json("Unblock", accounts::BLOCK),
            ..Route::post(
                "/v1/accounts/{id}/unblock",
                "unblockAccount",
                AccountsWrite,
                Json("Done"),
                post(accounts::unblock),
            )
        }
        .says("Let it act again"),
        Route {
            takes: Takes::Json("SetMode", accounts::SET_MODE),
            ..Route::post("/v1/modes", "setMode", AccountsWrite, Json("Done"), post(accounts::set_mode))
        }
        .says("Set the mode of a gate or of an account"),
        Route {
            needs: Needs::Local,
            takes: Takes::Accounts,
            ..Route::post("/v1/apply", "apply", AccountsWrite, Json("Done"), post(accounts::apply))
        }
        .says("Load accounts from a file; on the control socket only"),
        Route {
            needs: Needs::Local,
            takes: Takes::Json("Probe", probe::PROBE),
            ..Route::post("/v1/probe", "lendLogin", AccountsWrite, Json("Lent"), post(probe::lend))
        }
        .says("Lend a login for a minute, for a letter of our own; on the control socket only"),
        Route {
            needs: Needs::Local,
            takes: Takes::Json("Erase", control::ledger::ERASE),
            ..Route::post(
                "/v1/ledger/erase",
                "erase",
                LedgerRead,
                Json("Erased"),
                post(control::ledger::erase),
            )
        }
        .says("Erase what was said in entries of the ledger; on the control socket only"),
        Route::public("/openapi.json", "openapi", Text("application/json"), get(openapi::show))
            .says("This document"),
        Route::public(problem::PAGE, "problems", Text("text/markdown"), get(problem::page))
            .says("What each problem means and what helps"),
        Route::public("/healthz", "healthz", Text("text/plain"), get(|| async { "ok\n" }))
            .says("Whether the server lives"),
    ]
}

impl Route {
    fn get(
        path: &'static str,
        name: &'static str,
        scope: KeyScope,
        gives: Gives,
        handler: MethodRouter<Current>,
    ) -> Self {
        let (method, needs, query, takes) = (Method::GET, Needs::Scope(scope), &[][..], Takes::Nothing);
        Self { method, path, name, says: "", needs, query, takes, gives, handler }
    }

    fn post(
        path: &'static str,
        name: &'static str,
        scope: KeyScope,
        gives: Gives,
        handler: MethodRouter<Current>,
    ) -> Self {
        Self { method: Method::POST, ..Self::get(path, name, scope, gives, handler) }
    }

    fn public(path: &'static str, name: &'static str, gives: Gives, handler: MethodRouter<Current>) -> Self {
        Self { needs: Needs::Nobody, ..Self::get(path, name, KeyScope::RulingsRead, gives, handler) }
    }

    fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }
}

const PAGE: &[Parameter] = &[LIMIT, AFTER];
const HELD: &[Parameter] = &[
    Parameter {
        name: "all",
        kind: ParameterKind::Flag,
        says: "`true`: also what was released, refused or has expired",
    },
    LIMIT,
    AFTER,
];
