//! What of a large JSON answer may say something of its usage: embeddings of a few hundred texts take megabytes, all of it
//! numbers, with the tokens behind them.

use memchr::memchr2;

/// How much of a string is kept, in bytes.
const MAX_STRING: usize = 256;
/// The longest escape, `\u` and four digits, and some.
const ESCAPE: usize = 8;
/// One bit each says what is open at a level.
const MAX_DEPTH: u32 = u128::BITS;

/// The same JSON, as it comes, without white space, the numbers and words in its arrays, and all but the beginnings of
/// its strings. What is no JSON becomes none.
#[derive(Debug, Default)]
pub(super) struct Digest {
    out: Vec<u8>,
    depth: u32,
    /// Whether what is open at a level is an array; the lowest bit is the innermost.
    arrays: u128,
    /// Whether an array has an element by now.
    begun: u128,
    string: Option<Text>,
}

/// A string that has not ended.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    kept: usize,
    /// The next byte belongs to an escape.
    escaped: bool,
    /// Nothing more is kept.
    cut: bool,
}

impl Digest {
    /// The digest so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// How much memory it takes.
    pub(super) fn reserved(&self) -> usize {
        self.out.capacity()
    }

    /// Takes in the next bytes.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.string.take() {
                Some(text) => self.within_string(text, bytes),
                None => self.between_strings(bytes),
            };
        }
    }

    /// Goes on in a string, up to its end or its next escape; returns the rest.
    fn within_string<'a>(&mut self, mut text: Text, bytes: &'a [u8]) -> &'a [u8] {
        if std::mem::take(&mut text.escaped) {
            let (byte, rest) = bytes.split_at_checked(1).unwrap_or((bytes, &[]));
            self.keep(&mut text, byte);
            self.string = Some(text);
            return rest;
        }
        let plain = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
        let (plain, rest) = bytes.split_at_checked(plain).unwrap_or((bytes, &[]));
        self.keep(&mut text, plain);
        match rest.split_first() {
            None => self.string = Some(text),
            Some((b'"', rest)) => {
                self.out.push(b'"');
                return rest;
            }
            Some((_, rest)) => {
                text.cut |= text.kept + ESCAPE > MAX_STRING; // half an escape would be none
                text.escaped = true;
                self.keep(&mut text, b"\\");
                self.string = Some(text);
                return rest;
            }
        }
        &[]
    }

    fn keep(&mut self, text: &mut Text, bytes: &[u8]) {
        if text.cut {
            return;
        }
        let kept = bytes.get(..MAX_STRING - text.kept.min(MAX_STRING)).unwrap_or(bytes);
        self.out.extend_from_slice(kept);
        text.kept += kept.len();
        text.cut = kept.len() < bytes.len();
    }

    /// Goes on up to the beginning of a string; returns the rest.
    fn between_strings<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        for (at, byte) in bytes.iter().enumerate() {
            let in_array = self.depth > 0 && self.arrays & 1 == 1;
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => {}
                b'"' => {
                    self.begin_element(in_array);
                    self.out.push(b'"');
                    self.string = Some(Text::default());
                    return bytes.get(at + 1..).unwrap_or_default();
                }
                b'{' | b'[' if self.depth < MAX_DEPTH => {
                    self.begin_element(in_array);
                    self.out.push(*byte);
                    self.depth += 1;
                    self.arrays = self.arrays << 1 | u128::from(*byte == b'[');
                    self.begun <<= 1;
                }
                b'}' | b']' if self.depth > 0 => {
                    self.out.push(*byte);
                    self.depth -= 1;
                    self.arrays >>= 1;
                    self.begun >>= 1;
                }
                b'{' | b'[' | b'}' | b']' => self.out.push(b'!'), // no JSON, or too deep
                _ if in_array => {}
                _ => self.out.push(*byte),
            }
        }
        &[]
    }

    fn begin_element(&mut self, in_array: bool) {
        if in_array {
            if self.begun & 1 == 1 {
                self.out.push(b',');
            }
            self.begun |= 1;
        }
    }
}
