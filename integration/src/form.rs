//! Forms (`multipart/form-data`), read as strict servers read them: lines end in CRLF.

use serde_json::{json, Value};
use sha2::{Digest, Sha256};

/// One part.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    pub name: String,
    pub filename: Option<String>,
    pub content: &'a [u8],
}

/// The parts of a body; `None` if it is no form.
pub fn parts<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Part<'a>>> {
    let boundary = content_type.strip_prefix("multipart/form-data")?.split_once("boundary=")?.1;
    let boundary = boundary.split(';').next().unwrap_or_default().trim_matches('"');
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(delimiter.as_bytes().get(2..)?)?;
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let end = find(rest, delimiter.as_bytes())?;
        let (part, after) = rest.split_at_checked(end)?;
        rest = after.get(delimiter.len()..)?;
        let head = find(part, b"\r\n\r\n")?;
        let headers = std::str::from_utf8(part.get(..head)?).ok()?;
        let disposition =
            headers.split("\r\n").find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
        let content = part.get(head + 4..)?;
        parts.push(Part { name: value(disposition, "name")?, filename: value(disposition, "filename"), content });
    }
}

/// The parts for the journal: texts as they are, of a file its size and hash.
pub fn to_json(parts: &[Part<'_>]) -> Value {
    let shown = parts.iter().map(|part| match &part.filename {
        None => json!({"name": part.name, "value": String::from_utf8_lossy(part.content)}),
        Some(filename) => {
            let hash: String = Sha256::digest(part.content).iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"name": part.name, "filename": filename, "size": part.content.len(), "sha256": hash})
        }
    });
    json!({"form": shown.collect::<Vec<Value>>()})
}

fn value(header: &str, name: &str) -> Option<String> {
    let mut parameters = header.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    parameters.find(|(found, _)| *found == name).map(|(_, value)| value.trim_matches('"').to_owned())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    // most windows differ in their first byte
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.iter().position(|byte| Some(byte) == what.first())?;
        if text.get(at..)?.starts_with(what) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_files() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n\
            --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n\r\n--\r\n--b--\r\n";
        let read = parts("multipart/form-data; boundary=b", body).expect("a form");
        assert_eq!((read[0].name.as_str(), read[0].content), ("model", &b"m"[..]));
        assert_eq!((read[1].filename.as_deref(), read[1].content), (Some("a.wav"), &b"\r\n--"[..]));
        assert_eq!(to_json(&read)["form"][1]["size"], 4);
        assert_eq!(parts("application/json", body), None);
        assert_eq!(parts("multipart/form-data; boundary=c", body), None);
    }
}
