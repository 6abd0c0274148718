//! Reads the short fields of a form (`multipart/form-data`, RFC 7578 and RFC 2046) while it arrives. Files pass by: nothing
//! of them is kept.
//!
//! The model server reads the same bytes with another parser, so what two parsers may read differently is refused: a line
//! that only begins like the boundary, a boundary within a line, two kinds of line ends, an important field that is repeated or spelled unusually.

mod delimiter;
mod header;
mod scanner;

use std::ops::Range;

use memchr::memmem;

use crate::error::ApiError;
use crate::json::write_string;
use crate::uri::percent_decode;

pub use scanner::FormScanner;

/// The fields that the gateway reads, if a form has them: each may only come once.
const READ: [&str; 4] = ["model", "prompt", "stream", "n"];
/// The most fields that are kept.
const MAX_FIELDS: usize = 64;
/// The most bytes of all kept fields together.
const MAX_KEPT: usize = 256 << 10;

/// A field without a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, as written.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The range of its value in the body.
    pub range: Range<usize>,
    /// Whether the value is another one than the client's.
    pub changed: bool,
}

/// The fields of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The fields without files, in order.
    pub fields: Vec<Field>,
    /// Whether it has fields that were not kept, because they are too long, too many, or not UTF-8.
    pub incomplete: bool,
    /// The length of the body.
    pub length: usize,
    /// The text at the start of a line between parts.
    delimiter: Vec<u8>,
}

impl Form {
    /// The field with this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The fields as a JSON object, for checks, and where each value stands in it.
    ///
    /// ```
    /// use sluice::multipart::FormScanner;
    ///
    /// let mut scanner = FormScanner::new("multipart/form-data; boundary=b").unwrap();
    /// scanner.feed(b"--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nA cat\r\n--b--\r\n");
    /// let form = scanner.finish().unwrap();
    /// assert_eq!(form.to_json(), (r#"{"prompt":"A cat"}"#.to_owned(), vec![10..17]));
    /// ```
    pub fn to_json(&self) -> (String, Vec<Range<usize>>) {
        let (mut json, mut ranges) = ("{".to_owned(), Vec::new());
        for field in &self.fields {
            json.push_str(if ranges.is_empty() { "" } else { "," });
            write_string(&mut json, &field.name);
            json.push(':');
            let start = json.len();
            write_string(&mut json, &field.value);
            ranges.push(start..json.len());
        }
        json.push('}');
        (json, ranges)
    }

    /// Whether a text can be the value of a field: it does not end the field.
    pub fn takes(&self, value: &str) -> bool {
        memmem::find(value.as_bytes(), &self.delimiter).is_none()
    }
}

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Boundary,
    Incomplete,
    Delimiter,
    LineEnds,
    TooMany,
    Header,
    TwoNames,
    Spelling(&'static str),
    Repeated(&'static str),
    File(&'static str),
    Encoded(&'static str),
    TooLong(&'static str),
}

impl Problem {
    #[cold]
    fn error(self) -> ApiError {
        let (param, text) = match self {
            Problem::Boundary => (None, "its `content-type` has no valid `boundary`"),
            Problem::Incomplete => (None, "it ends before its last boundary"),
            Problem::Delimiter => (None, "the boundary stands where it separates no parts; use another boundary"),
            Problem::LineEnds => (None, "its lines do not all end alike; end them with CRLF"),
            Problem::TooMany => (None, "it has more than 1000 parts"),
            Problem::Header => (None, "a part's headers are not valid"),
            Problem::TwoNames => (None, "a part has two names"),
            Problem::Spelling(name) => (Some(name), "servers may read the field's name differently; write it plainly"),
            Problem::Repeated(name) => (Some(name), "the field is there twice"),
            Problem::File(name) => (Some(name), "the field must be a text, not a file"),
            Problem::Encoded(name) => {
                (Some(name), "the field must be plain UTF-8, without another charset or a transfer encoding")
            }
            Problem::TooLong(name) => (Some(name), "the field is too long"),
        };
        let message = match param {
            Some(name) => format!("The form cannot be read: `{name}`: {text}."),
            None => format!("The form cannot be read: {text}."),
        };
        ApiError::bad_request("invalid_multipart", param, message)
    }
}

/// The field of [`READ`] that a name stands for.
///
/// # Errors
/// Some servers may read the name as one of them.
fn known(name: &str) -> Result<Option<&'static str>, Problem> {
    if let Some(known) = READ.into_iter().find(|known| *known == name) {
        return Ok(Some(known));
    }
    let decoded = percent_decode(name);
    let bare = decoded.replace(|c: char| c == '\\' || c == '"' || c == '\'' || c.is_whitespace() || c.is_control(), "");
    // some servers read `prompt[]` as `prompt`
    let bare = bare.split('[').next().unwrap_or_default();
    let meant = READ.into_iter().find(|known| bare.eq_ignore_ascii_case(known));
    meant.map_or(Ok(None), |meant| Err(Problem::Spelling(meant)))
}
