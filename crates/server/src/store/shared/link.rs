//! The link: one connection to Redis, which is there or is gone. A command never waits long; what does not answer,
//! or answers something else than was asked for, is gone until it is made anew.
//! `Far` asks over it, and keeps it.

use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError, RedisResult};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::{RedisUrl, SecretError, read_secret};

/// A connection with its number; none while Redis is gone.
pub(super) struct Link {
    client: Client,
    /// The address without its password.
    name: String,
    state: watch::Sender<State>,
}

#[derive(Clone, Default)]
struct State {
    number: u64,
    connection: Option<MultiplexedConnection>,
}

/// Redis is gone. Who hears it decides alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

impl Link {
    /// Nothing is connected yet.
    pub(super) fn new(url: &RedisUrl) -> Result<Self, LinkError> {
        let failed = |error: &RedisError| LinkError::Address { name: url.to_string(), why: plain(error) };
        let mut info = url.secret().into_connection_info().map_err(|error| failed(&error))?;
        if let Some(file) = &url.password_file {
            let settings = info.redis_settings().clone().set_password(read_secret(file)?.as_str());
            info = info.set_redis_settings(settings);
        }
        let client = Client::open(info).map_err(|error| failed(&error))?;
        Ok(Self { client, name: url.to_string(), state: watch::Sender::default() })
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.borrow().connection.is_some()
    }

    /// Says in the metrics whether it is there. Said again and again: who keeps them may come later than we.
    pub(super) fn show(&self) {
        metrics::gauge!("countersign_shared_up").set(if self.is_up() { 1.0 } else { 0.0 });
    }

    /// Asks something. Who does not answer in time, or answers nonsense, is gone.
    pub(super) async fn ask<T, F>(&self, work: impl FnOnce(MultiplexedConnection) -> F) -> Result<T, Gone>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let State { number, connection } = self.state.borrow().clone();
        let answer = timeout(PATIENCE, work(connection.ok_or(Gone)?)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.lose(number, &plain(&error))),
            Err(_) => Err(self.lose(number, &silent(PATIENCE))),
        }
    }

    /// Makes a connection that answers.
    pub(super) async fn connect(&self) -> Result<(), String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(PATIENCE));
        let made = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            redis::cmd("PING").query_async::<Pong>(&mut connection).await?;
            Ok(connection)
        };
        let made = timeout(CONNECT, made).await.map_err(|_| silent(CONNECT))?;
        let connection = made.map_err(|error| plain(&error))?;
        self.state.send_modify(|state| {
            *state = State { number: state.number + 1, connection: Some(connection) };
        });
        self.show();
        Ok(())
    }

    /// A second connection, on which a channel is heard.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<PubSub, Gone> {
        let made = async {
            let mut heard = self.client.get_async_pubsub().await?;
            heard.subscribe(channel).await?;
            Ok::<_, RedisError>(heard)
        };
        timeout(CONNECT, made).await.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    /// Waits until there is a connection.
    pub(super) async fn up(&self) {
        self.wait_for(true).await;
    }

    /// Waits until there is none.
    pub(super) async fn down(&self) {
        self.wait_for(false).await;
    }

    async fn wait_for(&self, up: bool) {
        let mut state = self.state.subscribe();
        // The sender is ours: it does not go away meanwhile.
        let _there = state.wait_for(|state| state.connection.is_some() == up).await;
    }

    /// What is known of the address, for the log.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn lose(&self, number: u64, cause: &str) -> Gone {
        let lost = self.state.send_if_modified(|state| {
            let ours = state.number == number && state.connection.is_some();
            if ours {
                state.connection = None;
            }
            ours
        });
        if lost {
            self.show();
            metrics::counter!("countersign_shared_losses_total").increment(1);
            let redis = &self.name;
            tracing::warn!(
                redis,
                cause,
                "Redis is gone: until it is back this node counts alone, by its share"
            );
        }
        Gone
    }
}

/// PONG, and nothing else.
struct Pong;

impl redis::FromRedisValue for Pong {
    fn from_redis_value(value: redis::Value) -> Result<Self, redis::ParsingError> {
        match value {
            redis::Value::SimpleString(pong) if pong == "PONG" => Ok(Self),
            _ => Err("no PONG".into()),
        }
    }
}

fn silent(patience: Duration) -> String {
    format!("it does not answer within {} ms", patience.as_millis())
}

/// An error in one short line: what came over the wire may be anything.
fn plain(error: &RedisError) -> String {
    error.to_string().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Why there can be no link at all.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address is no use.
    #[error("`[store] shared`: `{name}` cannot be used: {why}")]
    Address { name: String, why: String },
    /// The password cannot be read.
    #[error("`[store] shared_password_file`: {0}")]
    Password(#[from] SecretError),
}

/// How long an answer may take: mail waits for it.
const PATIENCE: Duration = Duration::from_millis(250);
const CONNECT: Duration = Duration::from_secs(1);
