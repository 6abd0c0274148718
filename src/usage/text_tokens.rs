//! Estimates the tokens of a generated text from its bytes in JSON form.
//!
//! The tokenizers in use (OpenAI, Anthropic, DeepSeek) first split a text into words, numbers, marks and spaces, and
//! then join frequent sequences. So this counts the splits: about one token for each word, number and mark of prose,
//! code and JSON, and a fraction for each letter of a script without spaces. A rule by length alone is off by half for
//! code, and by more for data. The weights were fitted to 26 kinds of text with OpenAI's `o200k_base`, and raised, so
//! that the estimate is 100 % to 150 % of its count at each point of a text, and at most two tokens more at its start.

/// Weights are in this fraction of a token.
const TOKEN: u64 = 16;
/// A word; `camelCase` has two.
const WORD: u64 = 18;
/// Each letter of a word beyond this number.
const LONG_WORD: u32 = 6;
const FURTHER_LETTER: u64 = 4;
/// Added for each capital that follows a capital: tokenizers have few tokens for words in capitals.
const CAPITAL: u64 = 8;
/// The first digits of a number, and each three that follow.
const NUMBER: u64 = 24;
const FURTHER_DIGITS: u64 = 12;
const DIGITS: u32 = 3;
/// The first of several marks in a row, and each that follows.
const MARK: u64 = 17;
const FURTHER_MARK: u64 = 3;
/// Consecutive line ends; more than one space, as before indented code; further ones of either.
const LINE_END: u64 = 3;
const SPACES: u64 = 12;
const FURTHER_SPACE: u64 = 1;
/// Letters with two bytes of UTF-8 (accents, Cyrillic, Greek, Arabic, Hebrew), those of India and other scripts with three, of
/// Japanese and of Chinese, of Korean; marks with three; what has four (emoji).
const TWO_BYTES: u64 = 5;
const THREE_BYTES: u64 = 8;
const KANA: u64 = 16;
const HAN: u64 = 12;
const HANGUL: u64 = 12;
const WIDE_MARK: u64 = 16;
const FOUR_BYTES: u64 = 36;

/// An amount of text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TextAmount {
    /// In bytes of UTF-8.
    pub(super) bytes: u64,
    /// Its weight, in sixteenths of a token.
    weight: u64,
}

impl TextAmount {
    /// A text with a known length only. A token of prose has four bytes.
    pub(super) fn of_length(bytes: u64) -> Self {
        TextAmount { bytes, weight: bytes.saturating_mul(TOKEN / 4) }
    }

    /// The text that begins here and ends at the next quote, or at the end. Each text has at least one token.
    pub(super) fn of_string(text: &[u8]) -> Self {
        Weighing::default().string(text)
    }

    /// Generated JSON, as written.
    pub(super) fn of_json(json: &[u8]) -> Self {
        let mut weighing = Weighing::default();
        json.iter().for_each(|byte| weighing.byte(*byte));
        weighing.amount()
    }

    /// The sum of both.
    pub(super) fn add(&mut self, more: TextAmount) {
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.weight = self.weight.saturating_add(more.weight);
    }

    /// The difference from an earlier amount.
    pub(super) fn since(self, earlier: TextAmount) -> TextAmount {
        let bytes = self.bytes.saturating_sub(earlier.bytes);
        TextAmount { bytes, weight: self.weight.saturating_sub(earlier.weight) }
    }

    /// About how many tokens it has.
    pub(super) fn tokens(self) -> u64 {
        self.weight.saturating_add(TOKEN / 2) / TOKEN
    }
}

/// The kind of the last character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Small,
    Capital,
    Digit,
    Mark,
    Space,
    LineEnd,
    Other,
}

#[derive(Default)]
struct Weighing {
    bytes: u64,
    weight: u64,
    last: Last,
    /// The number of consecutive characters of this kind.
    row: u32,
}

impl Weighing {
    fn string(mut self, text: &[u8]) -> TextAmount {
        let mut rest = text.iter();
        while let Some(byte) = rest.next() {
            match byte {
                b'"' => break,
                b'\\' => match rest.next() {
                    Some(b'u') => {
                        let digits = rest.as_slice().get(..4).unwrap_or_default();
                        self.code(digits);
                        rest = rest.as_slice().get(digits.len()..).unwrap_or_default().iter();
                    }
                    Some(b'n' | b'r') => self.byte(b'\n'),
                    Some(b't') => self.byte(b'\t'),
                    Some(b'b' | b'f') | None => self.byte(b' '),
                    Some(mark) => self.byte(*mark),
                },
                byte => self.byte(*byte),
            }
        }
        self.amount()
    }

    fn amount(self) -> TextAmount {
        let least = if self.bytes > 0 { TOKEN } else { 0 };
        TextAmount { bytes: self.bytes, weight: self.weight.max(least) }
    }

    /// A `\uXXXX` escape; half of a surrogate pair counts as half of four bytes.
    fn code(&mut self, digits: &[u8]) {
        let code = std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match code {
            Some(code @ 0..=0x7f) => self.byte(code as u8),
            Some(0xd800..=0xdfff) => self.other(2, FOUR_BYTES / 2),
            Some(code) => {
                let mut bytes = [0; 4];
                let character = char::from_u32(code).unwrap_or('\u{fffd}');
                character.encode_utf8(&mut bytes).bytes().for_each(|byte| self.byte(byte));
            }
            None => self.byte(b'?'),
        }
    }

    fn byte(&mut self, byte: u8) {
        let kind = match byte {
            b'a'..=b'z' => Last::Small,
            b'A'..=b'Z' => Last::Capital,
            b'0'..=b'9' => Last::Digit,
            b' ' | b'\t' => Last::Space,
            b'\n' | b'\r' => Last::LineEnd,
            0..=0x7f => Last::Mark,
            0x80..=0xbf => return self.bytes += 1, // continues a character
            0xc0..=0xdf => return self.other(1, TWO_BYTES),
            0xe0 | 0xe1 => return self.other(1, THREE_BYTES),
            0xe2 => return self.other(1, WIDE_MARK),
            0xe3 | 0xee | 0xef => return self.other(1, KANA),
            0xe4..=0xe9 => return self.other(1, HAN),
            0xea..=0xed => return self.other(1, HANGUL),
            0xf0..=0xff => return self.other(1, FOUR_BYTES),
        };
        self.bytes += 1;
        let goes_on = kind == self.last || kind == Last::Small && self.last == Last::Capital;
        self.row = if goes_on { self.row.saturating_add(1) } else { 1 };
        self.last = kind;
        self.weight += match (kind, self.row) {
            (Last::Small | Last::Capital, 1) => WORD,
            (Last::Capital, _) => CAPITAL,
            (Last::Small, row) if row > LONG_WORD => FURTHER_LETTER,
            (Last::Digit, 1) => NUMBER,
            (Last::Digit, row) if row % DIGITS == 1 => FURTHER_DIGITS,
            (Last::Mark, 1) => MARK,
            (Last::Mark, _) => FURTHER_MARK,
            (Last::LineEnd, 1) => LINE_END,
            (Last::Space, 2) => SPACES,
            (Last::LineEnd, _) => FURTHER_SPACE,
            (Last::Space, row) if row > 2 => FURTHER_SPACE,
            (Last::Small | Last::Digit | Last::Space | Last::Nothing | Last::Other, _) => 0,
        };
    }

    fn other(&mut self, bytes: u64, weight: u64) {
        self.bytes += bytes;
        self.weight += weight;
        self.last = Last::Other;
    }
}
