//! The clock's door: what is due becomes a request like any other, with the clock as its actor.
//! Boot opens it; today only custody has an end.

use std::time::Duration;

use tokio::sync::watch;

use super::control::Control;

/// Looks for what is due until told to stop.
pub async fn serve(control: Control, mut stop: watch::Receiver<bool>) {
    loop {
        control.expire_due().await;
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

const EVERY: Duration = Duration::from_secs(10);
