//! One question to one name server and its answer, over UDP, and over TCP when UDP is too small.
//! Called by `resolver`. Each question has its own socket, so nothing is remembered of a bad server.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::RecordType;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// Why a server gave no answer.
#[derive(Debug, Error)]
pub(super) enum ExchangeError {
    #[error("name server {0} cannot be reached: {1}")]
    Unreachable(SocketAddr, #[source] io::Error),
    #[error("name server {0} answers `{1}`")]
    Refused(SocketAddr, ResponseCode),
    #[error("name server {0} speaks nonsense: {1}")]
    Garbled(SocketAddr, &'static str),
    #[error("name server {0} only refers to others (ask a recursive one)")]
    Referral(SocketAddr),
    #[error("question cannot be written: {0}")]
    Question(String),
}

/// Asks once and waits without end; the caller has the deadline. An answer says NOERROR or NXDOMAIN.
pub(super) async fn exchange(server: SocketAddr, question: Query) -> Result<Message, ExchangeError> {
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(question);
    let mut extension = Edns::new();
    extension.set_max_payload(UDP_PAYLOAD);
    query.set_edns(extension);
    let octets = query.to_vec().map_err(|cause| ExchangeError::Question(cause.to_string()))?;

    let mut answer = over_udp(server, &query, &octets).await?;
    if answer.metadata.truncation {
        answer = over_tcp(server, &query, &octets).await?;
    }
    judge(server, answer)
}

async fn over_udp(server: SocketAddr, query: &Message, octets: &[u8]) -> Result<Message, ExchangeError> {
    let unreachable = |cause| ExchangeError::Unreachable(server, cause);
    let here: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(here).await.map_err(unreachable)?;
    // A connected socket takes datagrams from the server only, and hears that its port is closed.
    socket.connect(server).await.map_err(unreachable)?;
    socket.send(octets).await.map_err(unreachable)?;
    let mut buffer = vec![0; RECEIVE_BUFFER];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(unreachable)?;
        let datagram = buffer.get(..length).unwrap_or_default();
        // A wrong id is somebody else's guess: the true answer may still come.
        if datagram.starts_with(&query.metadata.id.to_be_bytes()) {
            return decode(server, query, datagram);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &Message, octets: &[u8]) -> Result<Message, ExchangeError> {
    let unreachable = |cause| ExchangeError::Unreachable(server, cause);
    let mut stream = TcpStream::connect(server).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    // RFC 1035 4.2.2: "The message is prefixed with a two byte length field"
    let length = u16::try_from(octets.len()).map_err(|cause| ExchangeError::Question(cause.to_string()))?;
    let framed = [&length.to_be_bytes(), octets].concat();
    stream.write_all(&framed).await.map_err(unreachable)?;
    let length = stream.read_u16().await.map_err(unreachable)?;
    let mut buffer = vec![0; length.into()];
    stream.read_exact(&mut buffer).await.map_err(unreachable)?;
    let answer = decode(server, query, &buffer)?;
    if answer.metadata.truncation {
        return Err(ExchangeError::Garbled(server, "an answer over TCP is cut short"));
    }
    Ok(answer)
}

/// RFC 1035 7.3: "verify that the question section corresponds to the information currently desired"
fn decode(server: SocketAddr, query: &Message, octets: &[u8]) -> Result<Message, ExchangeError> {
    let garbled = |what| ExchangeError::Garbled(server, what);
    let answer = Message::from_vec(octets).map_err(|_| garbled("the answer is not a DNS message"))?;
    if answer.metadata.id != query.metadata.id || answer.metadata.message_type != MessageType::Response {
        return Err(garbled("the answer is not one to our question"));
    }
    let failed = answer.metadata.response_code != ResponseCode::NoError;
    // Some servers leave the question out when they fail.
    if answer.metadata.op_code != OpCode::Query || (answer.queries != query.queries && !failed) {
        return Err(garbled("the answer repeats another question"));
    }
    Ok(answer)
}

fn judge(server: SocketAddr, answer: Message) -> Result<Message, ExchangeError> {
    let header = &answer.metadata;
    match header.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Err(ExchangeError::Refused(server, code)),
    }
    // RFC 2308 2.2: NODATA has an SOA record or no authority at all; NS records alone refer elsewhere.
    let authority = |kind| answer.authorities.iter().any(|record| record.record_type() == kind);
    let referral = answer.answers.is_empty()
        && header.response_code == ResponseCode::NoError
        && !header.authoritative
        && authority(RecordType::NS)
        && !authority(RecordType::SOA);
    if referral { Err(ExchangeError::Referral(server)) } else { Ok(answer) }
}

/// The size that passes every link without fragments (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;
const RECEIVE_BUFFER: usize = 4096;

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{A, NS};
    use hickory_proto::rr::{Name, RData, Record};
    use proptest::prelude::*;

    use super::*;
    use crate::net::record::wire_name;

    fn server() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 53], 53))
    }

    fn query() -> Message {
        let mut query = Message::query();
        query.add_query(Query::query(wire_name("acme.example").unwrap(), RecordType::A));
        query
    }

    fn answer_to(query: &Message) -> Message {
        let mut answer = Message::response(query.metadata.id, OpCode::Query);
        answer.add_queries(query.queries.iter().cloned());
        answer
    }

    fn outcome(query: &Message, answer: &Message) -> Result<Message, ExchangeError> {
        decode(server(), query, &answer.to_vec().unwrap()).and_then(|answer| judge(server(), answer))
    }

    #[test]
    fn rfc1035_7_3_only_the_answer_to_the_question_counts() {
        let query = query();
        assert!(outcome(&query, &answer_to(&query)).is_ok());
        let mut shouted = answer_to(&query);
        shouted.queries = vec![Query::query(Name::from_ascii("ACME.Example.").unwrap(), RecordType::A)];
        assert!(outcome(&query, &shouted).is_ok());

        let mut other_name = answer_to(&query);
        other_name.queries = vec![Query::query(wire_name("evil.example").unwrap(), RecordType::A)];
        let mut other_kind = answer_to(&query);
        other_kind.queries = vec![Query::query(wire_name("acme.example").unwrap(), RecordType::MX)];
        let mut other_id = answer_to(&query);
        other_id.metadata.id = query.metadata.id.wrapping_add(1);
        for wrong in [other_name, other_kind, other_id, query.clone()] {
            assert!(matches!(outcome(&query, &wrong), Err(ExchangeError::Garbled(..))), "{wrong:?}");
        }
    }

    #[test]
    fn a_failure_may_leave_the_question_out() {
        let query = query();
        let failure = Message::error_msg(query.metadata.id, OpCode::Query, ResponseCode::ServFail);
        assert!(matches!(outcome(&query, &failure), Err(ExchangeError::Refused(_, ResponseCode::ServFail))));
    }

    #[test]
    fn rfc2308_2_2_a_referral_is_not_nodata() {
        let query = query();
        let ns = RData::NS(NS(wire_name("ns.example").unwrap()));
        let mut referral = answer_to(&query);
        referral.add_authority(Record::from_rdata(wire_name("example").unwrap(), 60, ns));
        assert!(matches!(outcome(&query, &referral), Err(ExchangeError::Referral(_))));
        let address = RData::A(A::new(192, 0, 2, 1));
        referral.add_answer(Record::from_rdata(wire_name("acme.example").unwrap(), 60, address));
        assert!(outcome(&query, &referral).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_a_server_sends_is_an_answer_or_an_error(tail in prop::collection::vec(any::<u8>(), 0..600)) {
            let query = query();
            let octets = [&query.metadata.id.to_be_bytes()[..], &tail].concat();
            let _ = decode(server(), &query, &octets).and_then(|answer| judge(server(), answer));
        }

        /// Damage to a real answer reaches deeper than noise.
        #[test]
        fn a_damaged_answer_is_an_answer_or_an_error(position in 2_usize..80, octet in any::<u8>()) {
            let query = query();
            let mut answer = answer_to(&query);
            let address = RData::A(A::new(192, 0, 2, 1));
            answer.add_answer(Record::from_rdata(wire_name("acme.example").unwrap(), 60, address));
            let mut octets = answer.to_vec().unwrap();
            if let Some(damaged) = octets.get_mut(position) {
                *damaged = octet;
            }
            let _ = decode(server(), &query, &octets).and_then(|answer| judge(server(), answer));
        }
    }
}
