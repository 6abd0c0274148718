//! A body in its canonical form, as a digest: what means the same to a model server has the same digest.
//!
//! | in the body | in the digest |
//! |---|---|
//! | white space between values | nothing |
//! | the order of an object's members | sorted by name |
//! | escapes in strings, `"\u0041"` | the characters, `"A"`; with a lone surrogate, which has none, as written |
//! | numbers: `1`, `1.0`, `10e-1` | their exact decimal value |
//! | `null`, an absent member | two different values |
//! | `stream`, `stream_options`, `user`, `metadata` at the top | nothing |
//! | `model` at the top | nothing: the key has the model by itself |
//! | a member twice in one object | not cacheable: readers differ in which one counts |
//! | a lone surrogate in a member's name | not cacheable: different names would be the same |
//!
//! There is no tree: a value is fed to its hash as it is scanned. Only of an open object the names and the digests of its
//! members are kept, because they must be sorted; their number is bounded. Each value begins with its kind and its length,
//! so that two different values never feed the same bytes.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::json::{JsonError, Scanner, Text, Value};

/// The maximum number of members in all open objects.
const MAX_MEMBERS: usize = 4096;
/// The maximum depth, because each level takes some of the stack.
const MAX_LEVELS: u32 = 64;

/// Why a request is not one that the cache answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncacheable {
    /// The body is not JSON, or not an object.
    NotJson,
    /// A member stands twice in one object; or a name has a lone surrogate, so that it cannot be told from others.
    Repeated,
    /// It has too many members or levels.
    TooComplex,
    /// A number's exponent is beyond any use.
    Number,
}

/// What a body says about whether the same request has the same answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeatable {
    /// `temperature` is 0.
    pub cold: bool,
    /// It offers tools, or has their results.
    pub tools: bool,
    /// The provider keeps something of it: a later request may refer to that, or ask for the answer.
    pub kept: bool,
    /// `store` is `false`.
    pub unstored: bool,
}

/// A body's digest, and what it says about repetition.
///
/// ```
/// use sluice::cache::CanonicalBody;
///
/// let one = CanonicalBody::of(br#"{"temperature":0,"messages":[{"role":"user","content":"\u0041"}],"stream":true}"#)?;
/// let same = CanonicalBody::of(br#"{"messages": [{"content": "A", "role": "user"}], "temperature": 0.0}"#)?;
/// assert_eq!(one, same);
/// # Ok::<(), sluice::cache::Uncacheable>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanonicalBody {
    /// The digest.
    pub digest: [u8; 32],
    /// What it says about repetition.
    pub repeatable: Repeatable,
}

/// The members at the top that change nothing of the answer's content.
const IGNORED: [&str; 5] = ["stream", "stream_options", "user", "metadata", "model"];

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// It is the body.
    Top,
    /// It is `generationConfig`, or Ollama's `options`.
    Settings,
    /// It is a part of the conversation.
    Conversation,
    /// Anywhere else.
    Other,
}

impl CanonicalBody {
    /// Reads a body.
    ///
    /// # Errors
    /// It has no canonical form.
    pub fn of(body: &[u8]) -> Result<Self, Uncacheable> {
        let mut scanner = Scanner::new(body);
        if scanner.peek() != Some(b'{') {
            return Err(Uncacheable::NotJson);
        }
        let mut walk = Walk::default();
        let mut hash = Sha256::new();
        let scanned = walk.value(&mut scanner, &mut hash, Position::Top, 0).and_then(|()| scanner.end());
        match (scanned, walk.problem) {
            (_, Some(problem)) => Err(problem),
            (Err(_), None) => Err(Uncacheable::NotJson),
            (Ok(()), None) => Ok(CanonicalBody { digest: hash.finalize().into(), repeatable: walk.repeatable }),
        }
    }
}

#[derive(Default)]
struct Walk {
    repeatable: Repeatable,
    problem: Option<Uncacheable>,
    /// The number of members of all open objects.
    members: usize,
}

impl Walk {
    /// Feeds the next value. After a problem, the rest is skipped.
    fn value<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        hash: &mut Sha256,
        place: Position,
        level: u32,
    ) -> Result<(), JsonError> {
        if level > MAX_LEVELS {
            self.problem = Some(Uncacheable::TooComplex);
        }
        if self.problem.is_some() {
            return scanner.value().map(|_| ());
        }
        match scanner.peek() {
            Some(b'{') => self.object(scanner, hash, place, level),
            Some(b'[') => {
                hash.update(b"[");
                scanner.array(|scanner| self.value(scanner, hash, place, level + 1))?;
                hash.update(b"]");
                Ok(())
            }
            _ => {
                let value = scanner.value()?;
                self.scalar(&value, hash);
                Ok(())
            }
        }
    }

    fn scalar(&mut self, value: &Value<'_>, hash: &mut Sha256) {
        match value {
            Value::Null => hash.update(b"0"),
            Value::Bool(true) => hash.update(b"t"),
            Value::Bool(false) => hash.update(b"f"),
            Value::Number(written) => match decimal(written) {
                Some(number) => feed(hash, b'n', number.as_bytes()),
                None => self.problem = Some(Uncacheable::Number),
            },
            Value::String(text) => text_of(text, |kind, bytes| feed(hash, kind, bytes)),
            Value::Array { .. } | Value::Object => {}
        }
    }

    fn object<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        hash: &mut Sha256,
        place: Position,
        level: u32,
    ) -> Result<(), JsonError> {
        let before = self.members;
        let mut members: Vec<(Cow<'a, str>, Option<[u8; 32]>)> = Vec::new();
        scanner.object(|name, scanner| {
            self.members += 1;
            if self.members > MAX_MEMBERS {
                self.problem = Some(Uncacheable::TooComplex);
            }
            if self.problem.is_some() {
                return scanner.value().map(|_| ());
            }
            let name = name.decode();
            // one character stands for every lone surrogate
            if name.contains(char::REPLACEMENT_CHARACTER) {
                self.problem = Some(Uncacheable::Repeated);
            }
            self.note(place, &name, scanner.clone());
            let digest = match place == Position::Top && IGNORED.contains(&&*name) {
                true => {
                    scanner.value()?;
                    None
                }
                false => {
                    let mut member = Sha256::new();
                    self.value(scanner, &mut member, inside(place, &name), level + 1)?;
                    Some(member.finalize().into())
                }
            };
            members.push((name, digest));
            Ok(())
        })?;
        self.members = before;
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        if members.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other)) {
            self.problem = Some(Uncacheable::Repeated);
        }
        hash.update(b"{");
        for (name, digest) in members {
            if let Some(digest) = digest {
                feed(hash, b'm', name.as_bytes());
                hash.update(digest);
            }
        }
        hash.update(b"}");
        Ok(())
    }

    /// Notes what a member says about repetition; `ahead` stands before its value.
    fn note(&mut self, place: Position, name: &str, mut ahead: Scanner<'_>) {
        let mut value = || ahead.value().unwrap_or(Value::Null);
        let said = &mut self.repeatable;
        match (place, name) {
            (Position::Top | Position::Settings, "temperature") => {
                said.cold = matches!(value(), Value::Number(written) if decimal(written).as_deref() == Some("0"));
            }
            (Position::Top, "tools" | "functions" | "web_search_options" | "mcp_servers") => {
                said.tools |= !matches!(value(), Value::Null | Value::Array { empty: true });
            }
            (Position::Top, "background") => said.kept |= value() == Value::Bool(true),
            (Position::Top, "previous_response_id" | "conversation" | "container" | "context") => {
                said.kept |= value() != Value::Null;
            }
            (Position::Top, "store") => match value() {
                Value::Bool(true) => said.kept = true,
                Value::Bool(false) => said.unstored = true,
                _ => {}
            },
            (Position::Conversation, "functionResponse" | "function_response" | "tool_call_id") => said.tools = true,
            (Position::Conversation, "role" | "type") => {
                if let Value::String(text) = value() {
                    let text = text.decode();
                    said.tools |= matches!(&*text, "tool" | "function")
                        || text.ends_with("tool_result")
                        || text.ends_with("call_output");
                }
            }
            _ => {}
        }
    }
}

fn inside(place: Position, name: &str) -> Position {
    match (place, name) {
        (Position::Top, "generationConfig" | "generation_config" | "options") => Position::Settings,
        (Position::Top, "messages" | "input" | "contents") | (Position::Conversation, _) => Position::Conversation,
        _ => Position::Other,
    }
}

/// Feeds a kind, a length and so many bytes.
fn feed(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// A string's kind, and its characters; as written if they cannot tell two strings apart.
fn text_of(text: &Text<'_>, mut each: impl FnMut(u8, &[u8])) {
    let decoded = text.decode();
    match decoded.contains(char::REPLACEMENT_CHARACTER) {
        true => each(b'r', text.raw()),
        false => each(b's', decoded.as_bytes()),
    }
}

/// A number's exact value as digits without zeros at their ends, and an exponent: `1.50` is `15e-1`. `None`: its exponent
/// is beyond any use.
fn decimal(written: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(written).ok()?;
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = [whole, fraction].concat();
    let significant = digits.trim_end_matches('0');
    let zeros = digits.len() - significant.len();
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    let exponent = exponent.checked_sub(fraction.len() as i64)?.checked_add(zeros as i64)?;
    Some(match exponent {
        0 => format!("{sign}{significant}"),
        _ => format!("{sign}{significant}e{exponent}"),
    })
}
