//! A whole stream of events that has been read before, and events that are written.

use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// Calls `each` with the data of every event: JSON, or a word such as `[DONE]`, which is `None`. Stops if it returns
/// `None`.
pub fn events(stream: &[u8], mut each: impl FnMut(Option<Raw<'_>>) -> Option<()>) -> Option<()> {
    let text = std::str::from_utf8(stream).ok()?;
    let mut data: Option<String> = None;
    for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).chain([""]) {
        if line.is_empty() {
            if let Some(data) = data.take() {
                let data = data.trim();
                match data {
                    "" => {}
                    "[DONE]" => each(None)?,
                    json => each(Some(Raw::parse(json.as_bytes())?))?,
                }
            }
        } else if let Some(value) = line.strip_prefix("data:") {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => data = Some(value.to_owned()),
            }
        }
    }
    Some(())
}

/// One event without a name.
pub fn data(value: Raw<'_>, out: &mut Writer) {
    out.text("data: ");
    out.raw(&on_one_line(value));
    out.text("\n\n");
}

/// One line.
pub fn line(value: Raw<'_>, out: &mut Writer) {
    out.raw(&on_one_line(value));
    out.text("\n");
}

/// The JSON without line breaks between its values; in a string, JSON has none.
pub fn on_one_line(value: Raw<'_>) -> String {
    value.json().replace(['\n', '\r'], " ")
}
