//! The bell: whoever puts up a row whose time has come rings, so that the clock does not sleep over it.
//! The gate rings after a commit; `doors::clock` hears it.

use std::sync::Arc;

use tokio::sync::watch;

/// A bell. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Bell(Arc<watch::Sender<()>>);

/// Somebody who hears it; what was rung while nobody waited is heard once.
#[derive(Debug)]
pub struct Listener(watch::Receiver<()>);

impl Bell {
    /// Wakes whoever listens, now or as soon as it waits again.
    pub fn ring(&self) {
        self.0.send_replace(());
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Default for Bell {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(())))
    }
}

impl Listener {
    /// Waits for the bell.
    pub async fn rung(&mut self) {
        if self.0.changed().await.is_err() {
            // Whoever could ring is gone.
            std::future::pending::<()>().await;
        }
    }
}
