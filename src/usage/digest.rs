//! The part of a large JSON text that may contain usage. Embeddings of a few hundred texts take megabytes of numbers,
//! with the tokens after them; an event may hold an image.

use memchr::{memchr2, memchr_iter};

use super::estimate::Texts;
use super::skim::tells_nothing;

/// The maximum size of a digest. Anything beyond it cannot be read.
pub(super) const MAX_DIGEST: usize = 1 << 20;
/// The maximum kept part of a string, in bytes.
const MAX_STRING: usize = 256;
/// The longest escape, `\u` and four digits, with some reserve.
const ESCAPE: usize = 8;
const MAX_DEPTH: usize = 128;
/// In these arrays, every element counts.
const KEPT: [&[u8]; 4] = [b"\"usage\":", b"\"usageMetadata\":", b"\"metrics\":", b"\"stats\":"];

/// The same JSON without white space, and without the irrelevant parts of arrays: numbers, words, strings and objects.
/// Other strings are shortened. Invalid JSON stays invalid.
#[derive(Debug, Default)]
pub(super) struct Digest {
    out: Vec<u8>,
    open: Vec<Level>,
    string: Option<Text>,
    /// The text is complete; bytes after it are kept unchanged.
    ended: bool,
    /// It exceeded its limit.
    beyond: bool,
    texts: Texts,
}

/// An open object or array.
#[derive(Clone, Copy, Debug)]
struct Level {
    is_array: bool,
    /// Where it begins.
    start: usize,
    /// It already has an element.
    begun: bool,
    /// Every element counts.
    kept: bool,
}

/// An open string.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    kept: usize,
    /// The next byte belongs to an escape.
    escaped: bool,
    /// Nothing more is kept of it.
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

    /// Its memory in bytes.
    pub(super) fn reserved(&self) -> usize {
        self.out.capacity() + self.open.capacity() * size_of::<Level>()
    }

    /// Whether it exceeded the limit.
    pub(super) fn is_beyond(&self) -> bool {
        self.beyond
    }

    /// The amount of generated text in it.
    pub(super) fn texts(&self) -> Texts {
        self.texts
    }

    /// Reads the next bytes.
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

    /// Continues in a string, up to its end or its next escape; returns the rest.
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
                    // its name comes before its beginning
                    let before = self.out.len().saturating_sub(text.kept + 1);
                    self.texts.add(self.out.get(..before).unwrap_or_default(), text.length);
                    self.out.push(b'"');
                }
                return rest;
            }
            Some((_, rest)) => {
                text.cut |= text.kept + ESCAPE > MAX_STRING; // half an escape would be invalid
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

    /// Continues up to the beginning of a string; returns the rest.
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
            self.out.push(b'!'); // too deep: make it invalid
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

    /// Keeps one of an array's numbers, words and strings, so that the array is not empty.
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
            self.out.push(b'!'); // invalid JSON
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
