//! Moving a store: every row of every table into another database, whatever the tables are.
//! `store copy` calls it. Afterwards the target holds all of it, or is as it was before.

mod rows;
mod target;

use self::rows::Sum;
use self::target::Target;
use super::tables::{Table, tables};
use super::{Report, Store, StoreError, Transaction, VerifyError, verify};
use crate::config::StoreUrl;

/// What was moved.
#[derive(Debug)]
pub struct Copied {
    /// How many tables.
    pub tables: usize,
    /// How many rows.
    pub rows: u64,
    /// What verify says of the ledger on the target, as it says of the source.
    pub ledger: Report,
}

/// How far it is: what is done, and how much of how much of it.
pub struct Progress<'a>(pub &'a dyn Fn(&'static str, u64, u64));

/// Moves everything from a store that was opened for reading to an address with no rows, and verifies the
/// ledger on both. Nobody else may write to either.
///
/// # Errors
/// When the source does not verify, somebody uses one of the two, the target has rows, or something fails;
/// then nothing of it stays on the target.
pub async fn copy(from: &Store, to: &StoreUrl, progress: Progress<'_>) -> Result<Copied, CopyError> {
    target::nobody_else(from).await?;
    let ledger = verified(from, "verifying the source", &progress).await?;
    let target = Target::open(to).await?;
    match fill(from, &target.store, &progress, ledger).await {
        Ok(copied) => {
            target.store.close().await;
            Ok(copied)
        }
        Err(error) => match target.undo().await {
            Ok(()) => Err(error),
            Err(left) => Err(CopyError::Left { error: Box::new(error), left }),
        },
    }
}

async fn fill(
    from: &Store,
    to: &Store,
    progress: &Progress<'_>,
    ledger: Report,
) -> Result<Copied, CopyError> {
    let mut source = from.snapshot().await?;
    let mut sink = to.begin().await?;
    source.take_your_time().await?;
    sink.take_your_time().await?;
    let tables = same_tables(&mut source, &mut sink).await?;
    let total = count(&mut source, &tables).await?;
    let mut sums: Vec<Sum> = Vec::new();
    for table in &tables {
        let before: u64 = sums.iter().map(|sum| sum.rows).sum();
        let told = |done| (progress.0)("copying", before + done, total);
        sums.push(rows::pour(table, &mut source, &mut sink, told).await?);
    }
    let rows = sums.iter().map(|sum| sum.rows).sum();
    for (table, sum) in tables.iter().zip(sums) {
        if rows::sum(table, &mut sink).await? != sum {
            return Err(CopyError::Differs(table.name.clone()));
        }
    }
    sink.commit_in_time().await?;
    target::nobody_else(from).await?;
    match verified(to, "verifying the target", progress).await? == ledger {
        true => Ok(Copied { tables: tables.len(), rows, ledger }),
        false => Err(CopyError::Differs("leaves".to_owned())),
    }
}

async fn verified(store: &Store, what: &'static str, progress: &Progress<'_>) -> Result<Report, CopyError> {
    let told = |done, total| (progress.0)(what, done, total);
    verify(store, None, told)
        .await
        .map_err(|error| CopyError::Verify { store: store.name().to_owned(), error })
}

/// Both have been brought up to date by this program, so that anything else is a surprise.
async fn same_tables(source: &mut Transaction, sink: &mut Transaction) -> Result<Vec<Table>, CopyError> {
    let (ours, theirs) = (tables(source).await?, tables(sink).await?);
    for table in &ours {
        if !theirs.iter().any(|other| table.is_like(other)) {
            return Err(CopyError::Unlike(table.name.clone()));
        }
    }
    match theirs.iter().find(|table| !ours.iter().any(|other| table.is_like(other))) {
        Some(table) => Err(CopyError::Unlike(table.name.clone())),
        None => Ok(ours),
    }
}

async fn count(source: &mut Transaction, tables: &[Table]) -> Result<u64, CopyError> {
    let mut total = 0;
    for table in tables {
        total += rows::count(table, source).await?;
    }
    Ok(total)
}

/// Why a store was not moved.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Both are the same.
    #[error("the store `{0}` cannot be copied to itself")]
    Itself(String),
    /// Somebody uses it.
    #[error("the store `{store}` is in use over {connections} connections: stop every server that uses it")]
    InUse {
        /// The address.
        store: String,
        /// Of how many connections.
        connections: i64,
    },
    /// There is something already.
    #[error("the store `{store}` is not empty: table `{table}` has rows (name a database without any)")]
    NotEmpty {
        /// The file or address.
        store: String,
        /// The first table that has rows.
        table: String,
    },
    /// The ledger is not what was recorded, or cannot be read.
    #[error("nothing was moved: the store `{store}`: {error}")]
    Verify {
        /// Which one.
        store: String,
        /// Why.
        error: VerifyError,
    },
    /// The two do not have the same tables.
    #[error("nothing was moved: table `{0}` is not the same in both stores")]
    Unlike(String),
    /// What was written is not what was read.
    #[error("nothing was moved: what table `{0}` has on the target is not what the source has")]
    Differs(String),
    /// One of the two cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It failed, and could not be undone.
    #[error("{error}; and what was made on the target could not be taken away: {left} (empty it by hand)")]
    Left {
        /// Why it failed.
        error: Box<Self>,
        /// Why something is left.
        left: StoreError,
    },
}

#[cfg(test)]
mod tests;
