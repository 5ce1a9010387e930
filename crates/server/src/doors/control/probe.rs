//! A login that is lent for a minute: `doctor --probe` signs in with it, as a customer would.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use countersign_core::ids::AccountId;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Control;
use crate::accounts::{Credential, secret};
use crate::clock::draw_ref;
use crate::doors::api::json as read;
use crate::doors::api::problem::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    account: AccountId,
}

/// Lends a login of an account. Who can open the control socket could apply one; this one is kept nowhere.
pub(in crate::doors) async fn lend(
    State(control): State<Control>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let wanted: Wanted = read(&body, PROBE)?;
    let account = match control.directory.account(&wanted.account).await {
        Ok(account) => account,
        Err(error) => return Err(Problem::not_found(error.to_string())),
    };
    let draw = || draw_ref().map_err(Problem::of);
    let login = format!("probe-{}", draw()?.as_str().to_ascii_lowercase());
    let secret = [draw()?, draw()?, draw()?].map(|part| part.to_string()).concat();
    let hashed = secret.clone();
    let hash = tokio::task::spawn_blocking(move || secret::hash(&hashed)).await.map_err(Problem::of)?;
    let until = control.clock.now().checked_add(LENT).map_err(Problem::of)?;
    control.directory.lend(Credential {
        login: login.clone(),
        account: account.id.clone(),
        hash: hash.map_err(Problem::of)?,
        networks: vec![],
        expires: Some(until),
        daily_cap: None,
    });
    tracing::info!("account.id" = %account.id, login, %until, "a login is lent for a probe");
    Ok(Json(json!({ "login": login, "secret": secret, "until": until })))
}

const LENT: SignedDuration = SignedDuration::from_secs(60);

/// The fields of what is sent.
pub(in crate::doors) const PROBE: &[&str] = &["account"];
