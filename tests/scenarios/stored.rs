//! What a scenario asks of the store behind the server's back, and does to it: the same words for SQLite and Postgres.
//! Scenarios that look at rows call it.

use countersign::config::StoreUrl;
use countersign::store::{Row, Store, Value, Write};

use crate::world::World;

impl World {
    /// The address as the program reads it.
    pub(crate) fn store_url(&self) -> StoreUrl {
        StoreUrl::parse(&self.url, &self.path("data")).unwrap()
    }

    /// The store.
    pub(crate) async fn store(&self) -> Store {
        Store::open_at(&self.store_url()).await.unwrap()
    }

    /// Rows of an answer.
    pub(crate) async fn rows(&self, statement: &str, values: Vec<Value>) -> Vec<Row> {
        let store = self.store().await;
        let rows = store.rows(sqlx::AssertSqlSafe(statement.to_owned()), values).await.unwrap();
        store.close().await;
        rows
    }

    /// The number in the column `n` of an answer.
    pub(crate) async fn number(&self, statement: &str) -> i64 {
        self.rows(statement, vec![]).await[0].get("n").unwrap()
    }

    /// Changes something.
    pub(crate) async fn change(&self, statements: &[&'static str]) {
        let writes: Vec<Write> = statements.iter().map(|text| Write::new(text, vec![])).collect();
        let store = self.store().await;
        store.change(&writes).await.unwrap();
        store.close().await;
    }

    /// Whether somebody who has the store could read this text in it.
    pub(crate) fn anybody_reads(&self, text: &str) -> bool {
        match &self.database {
            None => ["data/countersign.db", "data/countersign.db-wal"].iter().any(|name| {
                let octets = std::fs::read(self.path(name)).unwrap_or_default();
                octets.windows(text.len()).any(|found| found == text.as_bytes())
            }),
            Some(database) => {
                let tables = database
                    .sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'");
                let hex: String = text.bytes().map(|octet| format!("{octet:02x}")).collect();
                tables.unwrap().lines().any(|table| {
                    let rows = database.sql(&format!("SELECT t FROM {table} t")).unwrap();
                    rows.contains(text) || rows.contains(&hex)
                })
            }
        }
    }
}
