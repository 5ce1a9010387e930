//! Replies of an upstream: any cutting is the same, nothing of the next reply is taken, and what is read can
//! be written again. Its offers are read and written again, and never more is offered than both have.
//! The fuzz targets `smtp_reply` and `capabilities`.

use countersign_wire::limits::Limits;
use countersign_wire::smtp::capabilities::Capabilities;
use countersign_wire::smtp::reply::{Reply, ReplyError, ReplyParser};

use crate::pieces::{pieces, split_seed};
use crate::smtp_line::check_reply;

/// The first octet chooses limits and cuts; the others come from an upstream.
pub(crate) fn smtp_reply(octets: &[u8]) {
    let (seed, input) = split_seed(octets);
    let limits = match seed % 2 {
        0 => Limits { upstream_reply_line: 40, upstream_reply_lines: 3, ..Limits::default() },
        _ => Limits::default(),
    };
    let whole = read(&[input], &limits);
    assert_eq!(read(&pieces(seed, input), &limits).0, whole.0, "a cut makes a difference");
    assert_eq!(read(&input.chunks(1).collect::<Vec<_>>(), &limits), whole, "octet by octet differs");
    for reply in &whole.0 {
        check_read(reply, &limits);
        check_reply(reply);
    }
}

/// The octets are a reply to EHLO; a second one follows an empty line.
pub(crate) fn capabilities(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let (ours, theirs) = text.split_once("\n\n").unwrap_or((&text, ""));
    let (ours, theirs) = (offers(ours), offers(theirs));
    for capabilities in [&ours, &theirs] {
        let again = Capabilities::from_reply(&capabilities.reply("gate.example"));
        assert_eq!(&again, capabilities, "what is offered is read otherwise");
        let wide = Limits { reply_line: usize::MAX >> 1, ..Limits::default() };
        let mut written = Vec::new();
        capabilities.reply("gate.example").write(&mut written, &wide);
        let lines = written.windows(2).filter(|pair| pair == b"\r\n").count();
        assert_eq!(lines, capabilities.reply("gate.example").lines().len());
    }
    let both = ours.clone().limited_to(&theirs);
    assert_eq!(both.clone().limited_to(&theirs), both, "twice limited is another thing");
    assert!(!both.eight_bit || ours.eight_bit && theirs.eight_bit);
    assert!(!both.smtputf8 || ours.smtputf8 && theirs.smtputf8);
    assert!(!both.dsn || ours.dsn && theirs.dsn);
    assert_eq!((both.starttls, &both.auth, both.chunking), (ours.starttls, &ours.auth, ours.chunking));
    let larger = |limit: Option<u64>| limit.filter(|limit| *limit > 0);
    for limit in
        [larger(ours.size), larger(theirs.size)].into_iter().flatten().filter(|_| ours.size.is_some())
    {
        assert!(both.size.is_some_and(|size| size > 0 && size <= limit), "{both:?}");
    }
}

fn offers(text: &str) -> Capabilities {
    let greeting = Reply::new(250, None, "mx.example");
    Capabilities::from_reply(&text.split('\n').fold(greeting, |reply, line| reply.with_line(line)))
}

/// All replies until the first error; how many octets they took.
fn read(pieces: &[&[u8]], limits: &Limits) -> (Vec<Reply>, Option<ReplyError>) {
    let mut parser = ReplyParser::new(limits);
    let mut replies = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let progress = match parser.push(rest) {
                Ok(progress) => progress,
                Err(error) => return (replies, Some(error)),
            };
            assert!(progress.consumed > 0 && progress.consumed <= rest.len());
            assert!(progress.reply.is_some() || progress.consumed == rest.len(), "octets are left over");
            assert!(progress.reply.is_none() || !parser.is_midway(), "something is kept of a finished reply");
            rest = rest.get(progress.consumed..).unwrap_or_default();
            replies.extend(progress.reply);
        }
    }
    (replies, None)
}

fn check_read(reply: &Reply, limits: &Limits) {
    assert!((200..=599).contains(&reply.code()));
    assert!((1..=limits.upstream_reply_lines.max(1)).contains(&reply.lines().len()));
    assert!(!reply.to_string().chars().any(char::is_control), "{reply}");
    // Written in lines that are long enough it is the same reply, but for characters that are not ASCII.
    let wide = Limits { reply_line: 1 << 20, upstream_reply_line: 1 << 20, ..Limits::default() };
    let mut written = Vec::new();
    reply.write(&mut written, &wide);
    let (again, error) = read(&[&written], &wide);
    let ascii = |reply: &Reply| {
        let plain =
            |line: &String| line.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect::<String>();
        reply.lines().iter().map(plain).collect::<Vec<_>>()
    };
    assert_eq!((again.len(), error), (1, None));
    for again in &again {
        assert_eq!((again.code(), again.enhanced()), (reply.code(), reply.enhanced()), "{again} of {reply}");
        assert_eq!(ascii(again), ascii(reply));
    }
}
