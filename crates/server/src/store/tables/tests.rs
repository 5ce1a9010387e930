//! The two folders of migrations make the same tables.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::store::fresh::Fresh;

fn folder(name: &str) -> Vec<std::path::PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(name);
    std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path()).collect()
}

#[test]
fn the_folders_have_the_same_numbers_and_names() {
    let names = |name: &str| -> BTreeSet<String> {
        folder(name).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
    let newest = usize::try_from(super::super::migrations::newest()).unwrap();
    assert_eq!(names("sqlite").len(), newest, "every file is in the list of steps");
}

async fn both() -> Option<(Fresh, Fresh)> {
    Some((Fresh::in_sqlite().await, Fresh::in_postgres().await?))
}

#[tokio::test]
async fn both_have_the_same_tables() {
    let Some((sqlite, postgres)) = both().await else { return };
    let one = tables(&mut sqlite.store.snapshot().await.unwrap()).await.unwrap();
    let two = tables(&mut postgres.store.snapshot().await.unwrap()).await.unwrap();
    let names = |all: &[Table]| -> Vec<String> { all.iter().map(|table| table.name.clone()).collect() };
    assert_eq!(names(&one), names(&two));
    assert!(one.len() > 10, "{:?}", names(&one));
    for (one, two) in one.iter().zip(&two) {
        assert!(one.is_like(two), "{one:?}\n{two:?}");
        assert!(!one.key().is_empty(), "{} has no key", one.name);
    }
}

#[tokio::test]
async fn in_postgres_keys_begin_with_the_account_and_text_in_them_sorts_by_octets() {
    let Some((_, postgres)) = both().await else { return };
    let mut snapshot = postgres.store.snapshot().await.unwrap();
    for table in tables(&mut snapshot).await.unwrap() {
        if table.columns.iter().any(|field| field.name == "account_id") {
            assert_eq!(table.key().first(), Some(&"account_id"), "{}", table.name);
        }
    }
    let sorted = "SELECT t.relname::text || '.' || c.attname::text AS name FROM pg_index i \
        JOIN pg_class t ON t.oid = i.indrelid AND t.relnamespace = current_schema()::regnamespace \
        JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum = ANY (i.indkey::int2[]) \
        JOIN pg_collation o ON o.oid = c.attcollation AND o.collname <> 'C' \
        WHERE i.indisunique AND t.relname <> '_sqlx_migrations'";
    let rows = snapshot.rows(sorted, vec![]).await.unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.get("name").unwrap()).collect();
    assert!(names.is_empty(), "unique and not COLLATE \"C\": {names:?}");
}

#[tokio::test]
async fn postgres_counts_nothing_for_us() {
    let Some((_, postgres)) = both().await else { return };
    let sequences = "SELECT COUNT(*) AS n FROM pg_class WHERE relkind = 'S' \
        AND relnamespace = current_schema()::regnamespace";
    let row = postgres.store.row(sequences, vec![]).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), 0);
    for path in folder("postgres") {
        let text = std::fs::read_to_string(&path).unwrap().to_lowercase();
        for word in ["serial", "generated ", "sequence", "advisory"] {
            assert!(!text.contains(word), "{}: `{word}`", path.display());
        }
    }
}
