//! What it costs to read a message: the decoder of DATA, the header section, the MIME walk, all of it, and to write it out.
//! `just bench parse`

use bytes::Bytes;
use countersign_core::message::Message;
use countersign_wire::limits::Limits;
use countersign_wire::smtp::data::{DataDecoder, dot_stuff};
use countersign_wire::{header, mime};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

use crate::material::{SIZES, letter, stuffed};

/// DATA in reads of 16 KiB, as they come from TLS.
#[divan::bench(args = SIZES)]
fn decode(bencher: Bencher, size: usize) {
    let (octets, limits) = (stuffed(&letter(size)), Limits::default());
    bencher.counter(BytesCount::new(octets.len())).bench_local(|| {
        let mut decoder = DataDecoder::new(&limits);
        for read in octets.chunks(16_384) {
            decoder.push(read);
        }
        decoder.finish().unwrap()
    });
}

#[divan::bench(args = SIZES)]
fn header_section(bencher: Bencher, size: usize) {
    let (octets, limits) = (letter(size), Limits::default());
    bencher.bench_local(|| header::split(black_box(&octets), &limits).unwrap().fields.len());
}

#[divan::bench(args = SIZES)]
fn mime_walk(bencher: Bencher, size: usize) {
    let (octets, limits) = (letter(size), Limits::default());
    bencher
        .counter(BytesCount::new(octets.len()))
        .bench_local(|| mime::scan(black_box(&octets), &limits).unwrap());
}

/// Everything that is read of a message, once.
#[divan::bench(args = SIZES)]
fn read(bencher: Bencher, size: usize) {
    let (octets, limits) = (Bytes::from(letter(size)), Limits::default());
    bencher
        .counter(BytesCount::new(octets.len()))
        .bench_local(|| Message::read(black_box(octets.clone()), &limits));
}

#[divan::bench(args = SIZES)]
fn write(bencher: Bencher, size: usize) {
    let octets = letter(size);
    bencher.counter(BytesCount::new(octets.len())).bench_local(|| {
        let mut out = Vec::new();
        dot_stuff(black_box(&octets), &mut out).unwrap();
        out
    });
}
