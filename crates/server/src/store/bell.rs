//! The bell: whoever puts up a row whose time has come rings, so that the clock does not sleep over it.
//! The gate rings after a commit; `doors::clock` hears it.

use std::sync::Arc;

use tokio::sync::Notify;

/// A bell. Cloning shares it; rung once or often, it is heard once.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Wakes the clock, now or as soon as it is done with what it does.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits for it.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}
