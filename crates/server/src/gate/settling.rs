//! Settling: work that goes on when nobody waits for it any more, and the wait for its end.
//! Doors leave outcomes and commands here; boot waits before it closes the store.

use std::sync::Arc;

use tokio::task::JoinError;

use super::Gate;
use crate::acts::Outcome;

impl Gate {
    /// Records what became of an allowed message, after the peer has heard it.
    pub fn settle(&self, outcome: Outcome) {
        let ledger = self.ledger.clone();
        let turn = Arc::clone(&self.settling).try_read_owned();
        tokio::spawn(async move {
            let _turn = turn;
            let Outcome { reference, account, value, writes } = outcome;
            if let Err(error) = ledger.outcome(reference, &account, value, writes).await {
                tracing::error!(%error, "ledger.ref" = %reference, "an outcome is not recorded");
            }
        });
    }

    /// Works in a task of its own: it goes on when nobody waits for it any more, and `settled` waits for its end.
    ///
    /// # Errors
    /// When the task was ended.
    pub async fn apart<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        let turn = Arc::clone(&self.settling).try_read_owned();
        let apart = tokio::spawn(async move {
            let _turn = turn;
            work.await
        });
        apart.await
    }

    /// Waits until every outcome is recorded.
    pub async fn settled(&self) {
        let _all = self.settling.write().await;
    }
}
