//! What of a large JSON text may say something of its usage. Embeddings of a few hundred texts take megabytes, all of it
//! numbers, with the tokens behind them; an event may hold an image.

use memchr::{memchr2, memchr_iter};

use super::estimate::Texts;
use super::skim::tells_nothing;

/// How much of a digest is kept. What does not fit into it cannot be read.
pub(super) const MAX_DIGEST: usize = 1 << 20;
/// How much of a string is kept, in bytes.
const MAX_STRING: usize = 256;
/// The longest escape, `\u` and four digits, and some.
const ESCAPE: usize = 8;
const MAX_DEPTH: usize = 128;
/// In these, every element of an array counts.
const KEPT: [&[u8]; 4] = [b"\"usage\":", b"\"usageMetadata\":", b"\"metrics\":", b"\"stats\":"];

/// The same JSON, as it comes, without white space, and of its arrays without numbers, words, strings, and objects that
/// say nothing; of all other strings it has the beginnings. What is no JSON becomes none.
#[derive(Debug, Default)]
pub(super) struct Digest {
    out: Vec<u8>,
    open: Vec<Level>,
    string: Option<Text>,
    /// The text is complete; what follows is kept as it is.
    ended: bool,
    /// It grew beyond its limit.
    beyond: bool,
    texts: Texts,
}

/// An object or array that is open.
#[derive(Clone, Copy, Debug)]
struct Level {
    is_array: bool,
    /// Where it begins.
    start: usize,
    /// It has an element by now.
    begun: bool,
    /// Every element counts.
    kept: bool,
}

/// A string that has not ended.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    kept: usize,
    /// The next byte belongs to an escape.
    escaped: bool,
    /// Nothing more is kept.
    cut: bool,
    /// An element of an array: nothing of it is kept, not even its quotes.
    silent: bool,
    /// How long it is.
    length: u64,
}

impl Digest {
    /// The digest so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// How much memory it takes.
    pub(super) fn reserved(&self) -> usize {
        self.out.capacity() + self.open.capacity() * size_of::<Level>()
    }

    /// Whether there was too much to be kept.
    pub(super) fn is_beyond(&self) -> bool {
        self.beyond
    }

    /// How much text was generated in it.
    pub(super) fn texts(&self) -> Texts {
        self.texts
    }

    /// Takes in the next bytes.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.beyond {
            bytes = match self.string.take() {
                Some(text) => self.within_string(text, bytes),
                None => self.between_strings(bytes),
            };
            if self.out.len() > MAX_DIGEST {
                *self = Digest { beyond: true, ..Digest::default() };
            }
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
                if !text.silent {
                    // before its beginning stands its name
                    let before = self.out.len().saturating_sub(text.kept + 1);
                    self.texts.add(self.out.get(..before).unwrap_or_default(), text.length);
                    self.out.push(b'"');
                }
                return rest;
            }
            Some((_, rest)) => {
                text.cut |= text.kept + ESCAPE > MAX_STRING; // half an escape would be none
                text.escaped = true;
                text.length = text.length.saturating_sub(1);
                self.keep(&mut text, b"\\");
                self.string = Some(text);
                return rest;
            }
        }
        &[]
    }

    fn keep(&mut self, text: &mut Text, bytes: &[u8]) {
        text.length = text.length.saturating_add(bytes.len() as u64);
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
            let in_array = self.open.last().is_some_and(|level| level.is_array);
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => {}
                _ if self.ended => self.out.push(*byte),
                b'"' => {
                    if in_array {
                        self.begin_scalar();
                    } else {
                        self.out.push(b'"');
                    }
                    self.string = Some(Text { silent: in_array, cut: in_array, ..Text::default() });
                    return bytes.get(at + 1..).unwrap_or_default();
                }
                b'{' | b'[' => self.begin(*byte == b'['),
                b'}' | b']' => self.end(*byte == b']'),
                b',' if in_array => {}
                _ if in_array => self.begin_scalar(),
                _ => self.out.push(*byte),
            }
            if self.out.len() > MAX_DIGEST {
                break;
            }
        }
        &[]
    }

    fn begin(&mut self, is_array: bool) {
        if self.open.len() == MAX_DEPTH {
            self.out.push(b'!'); // too deep
            return;
        }
        let kept = KEPT.iter().any(|name| self.out.ends_with(name));
        let mut within = false;
        if let Some(outer) = self.open.last_mut() {
            if outer.is_array && outer.begun {
                self.out.push(b',');
            }
            outer.begun = true;
            within = outer.kept;
        }
        self.open.push(Level { is_array, start: self.out.len(), begun: false, kept: kept || within });
        self.out.push(if is_array { b'[' } else { b'{' });
    }

    /// Of the numbers, words and strings in an array, one is left, so that it is not empty.
    fn begin_scalar(&mut self) {
        if let Some(level) = self.open.last_mut() {
            if !level.begun {
                level.begun = true;
                self.out.push(b'0');
            }
        }
    }

    fn end(&mut self, is_array: bool) {
        let Some(level) = self.open.pop().filter(|level| level.is_array == is_array) else {
            self.out.push(b'!'); // no JSON
            return;
        };
        let (open, close) = if is_array { (b'[', b']') } else { (b'{', b'}') };
        self.out.push(close);
        self.ended = self.open.is_empty();
        let is_element = self.open.last().is_some_and(|outer| outer.is_array);
        if !is_element || level.kept || !self.says_nothing(level.start) {
            return;
        }
        self.out.truncate(level.start);
        // one of its kind is enough
        if !self.out.ends_with(&[open, close, b',']) {
            self.out.extend_from_slice(&[open, close]);
        } else {
            self.out.pop();
        }
    }

    fn says_nothing(&self, start: usize) -> bool {
        let element = self.out.get(start..).unwrap_or_default();
        !element.contains(&b'!')
            && memchr_iter(b'"', element).all(|quote| tells_nothing(element.get(quote + 1..).unwrap_or_default(), true))
    }
}
