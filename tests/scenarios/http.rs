//! A client of the HTTP API, each request over a connection of its own, and the world whose keys it has.
//! Every answer is held against the OpenAPI document that the server gives.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;

use crate::client::password;
use crate::schema::Document;
use crate::world::{KEPT, Plan, World, account, within};

/// A holder of a key.
pub(crate) struct Http {
    door: SocketAddr,
    key: Option<String>,
    from: &'static str,
    document: Document,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    /// A client with the key of a login of the world.
    pub(crate) async fn of(world: &World, login: &str) -> Self {
        Self::with(world, Some(&password(login))).await
    }

    /// A client with this key, or none.
    pub(crate) async fn with(world: &World, key: Option<&str>) -> Self {
        let door = world.door("api");
        let mut http =
            Self { door, key: key.map(str::to_owned), from: "127.0.0.1", document: Document::default() };
        let request =
            Request::get("/openapi.json").header("host", "api.example").body(Full::default()).unwrap();
        http.document = Document::read(&http.send(request).await.body);
        http
    }

    /// The same, from another address of loopback.
    pub(crate) fn from(self, from: &'static str) -> Self {
        Self { from, ..self }
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask(Method::GET, target, &[], b"").await
    }

    pub(crate) async fn post(&self, target: &str, body: &str) -> Answer {
        self.ask(Method::POST, target, &[("content-type", "application/json")], body.as_bytes()).await
    }

    /// Has a message judged.
    pub(crate) async fn evaluate(&self, query: &str, message: &[u8]) -> Answer {
        let target = format!("/v1/evaluate?{query}");
        self.ask(Method::POST, &target, &[("content-type", "message/rfc822")], message).await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = Request::builder().method(method.clone()).uri(target).header("host", "api.example");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let answer = self.send(request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()).await;
        self.document.fits(method.as_str(), target, &answer);
        answer
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(self.from.parse().unwrap(), 0)).unwrap();
        let stream = within(10, "a connection", socket.connect(self.door)).await.unwrap();
        over(stream, request).await
    }
}

/// One request over a connection.
pub(crate) async fn over<S>(stream: S, request: Request<Full<Bytes>>) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let response = within(60, "an answer", sender.send_request(request)).await.unwrap();
    let status = response.status().as_u16();
    let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap().to_owned();
    let fields = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = within(30, "a body", response.into_body().collect()).await.unwrap().to_bytes().to_vec();
    connection.abort();
    Answer { status, fields, body }
}

impl Answer {
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{self:?}");
        self.json()["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

/// Percent-encoded, as a value of a query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

/// Two accounts with a key each that may do everything, keys that may less, and one of staff.
pub(crate) async fn world() -> World {
    let mut world = World::bare(plan()).await;
    world.write("secrets/ana", &password("ana"));
    world.cli(&["apply", "accounts.toml", "--trust-proof"]).await.expect_code(0);
    world.start().await;
    world
}

pub(crate) fn plan() -> Plan {
    let all = "\"evaluate\", \"rulings:read\", \"held:read\", \"held:write\", \"ledger:read\", \
               \"accounts:read\", \"accounts:write\"";
    let acme = format!(
        "{}{}{}{}{}",
        account("acme", &["acme.example", KEPT]),
        key("acme-key", all, ""),
        key("acme-reader", "\"rulings:read\"", ""),
        key("acme-old", all, "expires = \"2026-01-01T00:00:00Z\"\n"),
        key("acme-elsewhere", all, "networks = [\"192.0.2.0/24\"]\n"),
    );
    let globex = format!("{}{}", account("globex", &["globex.example"]), key("globex-key", all, ""));
    let staff = format!(
        "[[staff]]\nemail = \"ana@esp.example\"\napi_secret_file = \"secrets/ana\"\nscopes = [{all}]\n"
    );
    Plan { accounts: format!("{acme}{globex}{staff}"), ..Plan::default() }
}

/// The same without staff, whose secret is no login's: it takes no more than accounts.
pub(crate) fn plan_without_staff() -> Plan {
    let plan = plan();
    Plan { accounts: plan.accounts.split("[[staff]]").next().unwrap().to_owned(), ..plan }
}

fn key(login: &str, scopes: &str, more: &str) -> String {
    format!(
        "[[account.credential]]\nkind = \"api\"\nsecret_file = \"secrets/{login}\"\nscopes = [{scopes}]\n{more}login = \"{login}\"\n"
    )
}
