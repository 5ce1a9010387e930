//! Reads messages from stdin, each behind its length in four octets (big-endian), and prints one JSON
//! line for each: the author whom we pass or the word why not, and the authors that mail-parser finds.
//! Driven by `tools/differential`.

use std::io::{self, ErrorKind, Read, Write};

use serde_json::json;

#[path = "../tests/authors/mod.rs"]
mod authors;

fn main() -> io::Result<()> {
    // Where mail-parser panics its reading is missing; the message of the panic says nothing more.
    std::panic::set_hook(Box::new(|_| {}));
    let (mut input, mut output) = (io::stdin().lock(), io::BufWriter::new(io::stdout().lock()));
    while let Some(message) = next(&mut input)? {
        let readings = authors::read(&message);
        let agrees = readings.ours.as_ref().is_ok_and(|author| {
            readings.mail_parser.as_ref().is_none_or(|reading| authors::agrees(reading, author))
        });
        let (author, why) = match readings.ours {
            Ok(author) => (Some(author), None),
            Err(why) => (None, Some(why)),
        };
        let line =
            json!({ "author": author, "why": why, "mail_parser": readings.mail_parser, "agrees": agrees });
        writeln!(output, "{line}")?;
        output.flush()?;
    }
    Ok(())
}

fn next(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    input.read_exact(&mut message)?;
    Ok(Some(message))
}
