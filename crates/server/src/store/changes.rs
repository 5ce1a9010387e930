//! Changes: another node changed an account. Postgres says so at once; who cannot listen asks now and then.
//! Boot listens, and has the directory forget what it has kept.

use sqlx::postgres::PgListener;

use super::Store;
use super::db::Engine;

/// Somebody who listens for changes of others.
pub struct Changes {
    store: Store,
    listener: Option<PgListener>,
}

impl Store {
    /// Listens for changes of other nodes.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes { store: self.clone(), listener: None }
    }
}

impl Changes {
    /// Waits for a change. Of a store that tells nobody it waits for ever; while the connection is gone it
    /// tries again now and then, and each new one counts as a change: nobody knows what was missed.
    pub async fn next(&mut self) {
        let Engine::Postgres { readers, .. } = self.store.engine() else {
            return std::future::pending().await;
        };
        loop {
            match &mut self.listener {
                Some(listener) => match listener.try_recv().await {
                    Ok(Some(_)) => return,
                    Ok(None) | Err(_) => self.listener = None,
                },
                None => match listen(&readers.all).await {
                    Ok(listener) => {
                        self.listener = Some(listener);
                        return;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "nobody tells of changes");
                        tokio::time::sleep(AGAIN).await;
                    }
                },
            }
        }
    }
}

async fn listen(pool: &sqlx::PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("countersign_changes").await?;
    Ok(listener)
}

const AGAIN: std::time::Duration = std::time::Duration::from_secs(2);
