//! The headers of a form's part.

use super::{known, Problem};

/// What they say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartHeaders {
    /// The field's name, if it has one.
    pub name: Option<String>,
    /// The same, if the gateway reads the field.
    pub known: Option<&'static str>,
    /// Whether it is a file.
    pub file: bool,
    /// Whether its bytes are not its text: another charset, or a transfer encoding.
    pub encoded: bool,
}

/// Reads headers; each line still has its line end.
pub(super) fn read(block: &[u8], crlf: bool) -> Result<PartHeaders, Problem> {
    let text = std::str::from_utf8(block).map_err(|_| Problem::Header)?;
    let (mut part, mut disposed) = (PartHeaders::default(), false);
    for line in text.split_terminator(if crlf { "\r\n" } else { "\n" }) {
        let (name, value) = line.split_once(':').ok_or(Problem::Header)?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name || line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(Problem::Header); // a folded line, too
        }
        if name.eq_ignore_ascii_case("content-disposition") {
            if std::mem::replace(&mut disposed, true) {
                return Err(Problem::TwoNames);
            }
            disposition(value, &mut part)?;
        } else if name.eq_ignore_ascii_case("content-transfer-encoding") {
            let plain = ["7bit", "8bit", "binary"].iter().any(|plain| value.trim().eq_ignore_ascii_case(plain));
            part.encoded |= !plain;
        } else if name.eq_ignore_ascii_case("content-type") {
            let value = value.to_ascii_lowercase();
            let plain = !value.contains("charset")
                || ["charset=utf-8", "charset=us-ascii"].iter().any(|plain| value.trim_end().ends_with(plain));
            part.encoded |= !plain;
        }
    }
    match part.known {
        Some(known) if part.file => Err(Problem::File(known)),
        Some(known) if part.encoded => Err(Problem::Encoded(known)),
        Some(_) | None => Ok(part),
    }
}

/// Reads the parameters of `content-disposition`: `form-data; name="model"; filename="a.wav"`.
fn disposition(value: &str, part: &mut PartHeaders) -> Result<(), Problem> {
    let mut rest = value.trim_start();
    let kind = rest.split(';').next().unwrap_or_default();
    rest = rest.get(kind.len()..).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(Problem::Header);
    }
    let mut names = 0;
    while let Some(parameter) = rest.strip_prefix(';') {
        let parameter = parameter.trim_start();
        if parameter.is_empty() {
            rest = parameter; // some clients end with a semicolon
            break;
        }
        let (name, after) = parameter.split_once('=').ok_or(Problem::Header)?;
        let (value, after) = parameter_value(after.trim_start()).ok_or(Problem::Header)?;
        rest = after.trim_start();
        let name = name.trim_end().to_ascii_lowercase();
        names += usize::from(matches!(name.as_str(), "name" | "filename" | "filename*"));
        match name.as_str() {
            "name" => {
                if part.name.is_some() {
                    return Err(Problem::TwoNames);
                }
                part.known = known(value)?;
                part.name = Some(value.to_owned());
            }
            "name*" => return Err(Problem::TwoNames), // RFC 7578 does not allow it
            "filename" | "filename*" => part.file = true,
            _ => {}
        }
    }
    // servers read quotes and continuations (`name*0`) differently: a further name may be hidden in a value
    let plain: String = value.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    if plain.matches("name=").count() + plain.matches("name*").count() != names {
        return Err(Problem::TwoNames);
    }
    match rest.is_empty() {
        true => Ok(()),
        false => Err(Problem::Header),
    }
}

/// A value, as written between its quotes, and what follows it.
fn parameter_value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let (value, after) = text.split_at_checked(end)?;
        let value = value.trim_end();
        let plain = !value.is_empty() && !value.contains(['"', ' ', '\t']);
        return plain.then_some((value, after));
    };
    let mut escaped = false;
    let end = quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    let (value, after) = quoted.split_at_checked(end)?;
    Some((value, after.strip_prefix('"')?))
}

/// The boundary in a `content-type`; `None` if it is another type, or has no valid one.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, mut rest) = content_type.split_at_checked(content_type.find(';')?)?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let (mut boundary, mut charset) = (None, None);
    while let Some(parameter) = rest.strip_prefix(';') {
        let parameter = parameter.trim_start();
        if parameter.is_empty() {
            rest = parameter;
            break;
        }
        let (name, after) = parameter.split_once('=')?;
        let (value, after) = parameter_value(after)?;
        rest = after.trim_start();
        // servers read other parameters (`boundary*0`, another charset for names and values) differently
        let (known, is_valid) = match name.trim().to_ascii_lowercase().as_str() {
            "boundary" => (&mut boundary, true),
            "charset" => (&mut charset, ["utf-8", "us-ascii"].iter().any(|plain| value.eq_ignore_ascii_case(plain))),
            _ => return None,
        };
        if known.replace(value).is_some() || !is_valid {
            return None;
        }
    }
    // RFC 2046, section 5.1.1, without the comma, at which some servers cut
    let is_valid = |text: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_-./:=? ".contains(&byte);
        (1..=70).contains(&text.len()) && text.bytes().all(allowed) && !text.ends_with(' ')
    };
    boundary.filter(is_valid).filter(|_| rest.is_empty())
}
