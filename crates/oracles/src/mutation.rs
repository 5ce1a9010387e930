//! Inputs made of other inputs: octets changed, pieces doubled, words of the wire put in. The same number
//! makes the same input.
//! Called by the test that replays seeds, where no fuzzer is.

/// A source of numbers that repeats itself on every machine (xorshift).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same throws for the same number.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Any 64 bits.
    pub const fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Less than `limit`; 0 when the limit is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.throw() >> 16).unwrap_or_default().checked_rem(limit).unwrap_or_default()
    }

    fn one_of<'a, T: ?Sized>(&mut self, things: &[&'a T]) -> Option<&'a T> {
        things.get(self.below(things.len())).copied()
    }
}

/// A seed with one to eight changes.
#[must_use]
pub fn mutate(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds.get(dice.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=dice.below(8) {
        change(dice, &mut input, seeds);
    }
    input.truncate(4096);
    input
}

fn change(dice: &mut Dice, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = dice.below(input.len() + 1);
    let end = at + dice.below(input.len() + 1 - at).min(24);
    let piece = input.get(at..end).unwrap_or_default().to_vec();
    match dice.below(7) {
        0 => input.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= 1 << dice.below(8)),
        1 => insert(input, at, dice.throw().to_be_bytes().get(..1 + at % 2).unwrap_or_default()),
        2 => drop(input.drain(at..end)),
        3 => insert(input, at, &piece),
        4 => {
            let other = seeds.get(dice.below(seeds.len())).map(Vec::as_slice).unwrap_or_default();
            let other = other.get(dice.below(other.len())..).unwrap_or_default();
            input.truncate(at);
            input.extend_from_slice(other);
        }
        _ => insert(input, at, dice.one_of(&WORDS).unwrap_or_default()),
    }
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    drop(input.splice(at..at, piece.iter().copied()));
}

/// What parsers of mail look for.
const WORDS: [&[u8]; 48] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b".",
    b"\r\n.\r\n",
    b"\r\n ",
    b"\r\n\r\n",
    b"..",
    b":",
    b";",
    b",",
    b"<",
    b">",
    b"@",
    b"\"",
    b"\\",
    b"(",
    b")",
    b"[",
    b"]",
    b"=",
    b"=?utf-8?q?",
    b"?=",
    b"=?utf-8?b?",
    b"--",
    b"--b",
    b"--b--",
    b"From:",
    b"Content-Type: ",
    b"multipart/mixed; boundary=b",
    b"message/rfc822",
    b"boundary",
    b"*0*=",
    b"250-",
    b"250 ",
    b"SIZE=",
    b"SMTPUTF8",
    b"BDAT ",
    b" LAST",
    b"include:",
    b"%{ir}",
    b"/",
    b"\xc3\xa9",
    b"\xe2\x80\xae",
    b"a@b.example",
];
