//! The words of a tag.

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TemplateWord {
    Name(String),
    Text(String),
    Number(i64),
    Symbol(&'static str),
}

/// The longer ones first, so that `==` is not read as two.
const SYMBOLS: [&str; 13] = ["==", "!=", "<=", ">=", "<", ">", "|", "(", ")", "[", "]", ".", ","];

/// The maximum number of words in a tag: it bounds the depth of expressions.
const MAX_WORDS: usize = 200;

/// Splits a tag's text into words.
///
/// # Errors
/// What is none.
pub(super) fn tokens(text: &str) -> Result<Vec<TemplateWord>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '"' | '\'' => quoted(rest, first)?,
            '0'..='9' => number(rest)?,
            first if first == '_' || first.is_alphabetic() => name(rest),
            first => {
                let symbol = SYMBOLS.into_iter().find_map(|symbol| Some((symbol, rest.strip_prefix(symbol)?)));
                let (symbol, after) = symbol.ok_or_else(|| format!("{first:?} has no meaning here"))?;
                (TemplateWord::Symbol(symbol), after)
            }
        };
        if tokens.len() == MAX_WORDS {
            return Err(format!("a tag has more than {MAX_WORDS} words"));
        }
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn name(text: &str) -> (TemplateWord, &str) {
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len());
    let (name, after) = text.split_at_checked(end).unwrap_or((text, ""));
    (TemplateWord::Name(name.to_owned()), after)
}

fn number(text: &str) -> Result<(TemplateWord, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, after) = text.split_at_checked(end).unwrap_or((text, ""));
    let number = digits.parse().map_err(|_| format!("{digits} is too large for a number"))?;
    Ok((TemplateWord::Number(number), after))
}

/// A text in quotes, with the escapes `\n`, `\t`, and `\` before any other character.
fn quoted(text: &str, quote: char) -> Result<(TemplateWord, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            c if c == quote => {
                return Ok((TemplateWord::Text(value), text.get(at + c.len_utf8()..).unwrap_or_default()));
            }
            c => value.push(c),
        }
    }
    Err(format!("a text has no closing {quote}"))
}
