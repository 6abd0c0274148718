//! The mock's tokenizer: simple enough to compute by hand, and used for all reported usage.
//!
//! A piece is either one character that is neither a letter, a digit nor whitespace, or a run of letters and digits
//! together with one whitespace character before it. Further whitespace is a piece of its own. The joined pieces are
//! the text: `Hello, big world` is `Hello` `,` ` big` ` ` ` world`.

/// The pieces of a text, owned, so that a stream can be generated piece by piece.
#[derive(Clone, Debug)]
pub struct Pieces {
    text: std::sync::Arc<str>,
    at: usize,
}

impl Pieces {
    pub fn of(text: &str) -> Self {
        Self { text: text.into(), at: 0 }
    }
}

impl Iterator for Pieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let rest = self.text.get(self.at..)?;
        let piece = rest.get(..first_piece(rest)).filter(|piece| !piece.is_empty())?;
        self.at += piece.len();
        Some(piece.to_owned())
    }
}

/// The number of pieces in a text.
pub fn count(text: &str) -> u64 {
    cut(text, None).1
}

/// The longest start of `text` with at most `limit` pieces, and its number of pieces.
pub fn cut(text: &str, limit: Option<u64>) -> (&str, u64) {
    let mut end = 0;
    let mut pieces = 0;
    while end < text.len() && limit.is_none_or(|limit| pieces < limit) {
        end += text.get(end..).map_or(usize::MAX, first_piece);
        pieces += 1;
    }
    (text.get(..end).unwrap_or(text), pieces)
}

/// The length in bytes of the first piece; 0 only for the empty text.
fn first_piece(text: &str) -> usize {
    let mut characters = text.char_indices();
    match characters.next() {
        None => 0,
        Some((_, first)) if !first.is_alphanumeric() && !first.is_whitespace() => first.len_utf8(),
        Some(_) => characters.find(|(_, c)| !c.is_alphanumeric()).map_or(text.len(), |(at, _)| at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("Hello", &["Hello"]),
            ("Hello, big  world", &["Hello", ",", " big", " ", " world"]),
            (" a ... b\n", &[" a", " ", ".", ".", ".", " b", "\n"]),
            ("mock-a: ok?!", &["mock", "-", "a", ":", " ok", "?", "!"]),
            ("Grüße 世界 🦀!", &["Grüße", " 世界", " ", "🦀", "!"]),
        ];
        for (text, want) in cases {
            assert_eq!(Pieces::of(text).collect::<Vec<_>>(), *want, "{text:?}");
            assert_eq!(count(text), want.len() as u64, "{text:?}");
        }
    }

    #[test]
    fn cutting_keeps_whole_pieces() {
        let cases = [(0, ""), (1, "Hello"), (2, "Hello,"), (3, "Hello, 世界"), (9, "Hello, 世界!")];
        for (limit, want) in cases {
            let (text, pieces) = cut("Hello, 世界!", Some(limit));
            assert_eq!((text, pieces), (want, limit.min(4)));
        }
    }
}
