//! Services that tests start for themselves, out of the packages of the machine: a real Postgres and a
//! real Redis.
//! Called by the tests of the store and by the scenarios; part of no program.

mod postgres;
mod redis;
mod watchdog;

pub use postgres::{Database, GUARDED, Postgres};
pub use redis::Redis;

/// Whether tests are asked to keep everything in Postgres: `COUNTERSIGN_TEST_STORE=postgres`.
///
/// # Errors
/// When the variable has a value that means nothing.
pub fn postgres_is_wanted() -> Result<bool, String> {
    match std::env::var("COUNTERSIGN_TEST_STORE").as_deref() {
        Err(_) | Ok("" | "sqlite") => Ok(false),
        Ok("postgres") => Ok(true),
        Ok(other) => Err(format!("COUNTERSIGN_TEST_STORE is `{other}`: `sqlite` or `postgres` is allowed")),
    }
}
