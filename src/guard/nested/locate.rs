//! What a text says, and where a part of that is written.

use std::ops::Range;

use super::{Nesting, Role, Unit};
use crate::json::write_string;

/// A part of what was looked for: it can be replaced and leaves a document a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Which of the spans it is a part of.
    pub index: usize,
    /// Where it stands in the view.
    pub view: Range<usize>,
    /// Where it stands in the text.
    pub source: Range<usize>,
    /// In how many strings.
    pub depth: u8,
    /// It is a number of a document: what takes its place is a string.
    pub number: bool,
}

/// What a text says with the escapes of its documents' strings decoded; `None` if that is what it is.
///
/// ```
/// use sluice::guard::nested::{view, Nesting};
///
/// let text = r#"{"body": "Hello,\nmario@example.com", "raw": "{\"a\": \"x\\ny\"}"}"#;
/// let want = "{\"body\": \"Hello,\nmario@example.com\", \"raw\": \"{\"a\": \"x\ny\"}\"}";
/// assert_eq!(view(Nesting::default(), text).as_deref(), Some(want));
/// assert_eq!(view(Nesting::default(), r"a\nb"), None, "no JSON");
/// ```
pub fn view(mut nesting: Nesting, text: &str) -> Option<String> {
    // within a string, a piece of JSON has no need to look like it
    memchr::memchr(b'\\', text.as_bytes())?;
    let mut view = String::with_capacity(text.len());
    nesting.walk(text, true, |unit| view.push_str(unit.text));
    (view != text).then_some(view)
}

/// Where in the text these spans of its view are written; they are in order, and do not overlap. One that goes across
/// the end of a string is taken apart there.
pub fn locate(mut nesting: Nesting, text: &str, spans: &[Range<usize>]) -> Vec<Spot> {
    if nesting == Nesting::default() && !Nesting::is_of_interest(text) {
        let plain = |(index, span): (usize, &Range<usize>)| Spot {
            index,
            view: span.clone(),
            source: span.clone(),
            depth: 0,
            number: false,
        };
        return spans.iter().enumerate().map(plain).collect();
    }
    let mut locator =
        Locator { spans, next: 0, at: 0, spots: Vec::with_capacity(spans.len()), broken: true, number: None };
    nesting.walk(text, true, |unit| locator.see(&unit));
    locator.end_number();
    locator.spots
}

struct Locator<'a> {
    spans: &'a [Range<usize>],
    /// The first span that does not end before the view so far.
    next: usize,
    /// The length of the view so far.
    at: usize,
    spots: Vec<Spot>,
    /// Something must stay that stands behind the last spot.
    broken: bool,
    /// The number under way, and the first span that touches it.
    number: Option<(Spot, bool)>,
}

impl Locator<'_> {
    fn see(&mut self, unit: &Unit<'_>) {
        let view = self.at..self.at + unit.text.len();
        self.at = view.end;
        while self.spans.get(self.next).is_some_and(|span| span.end <= view.start) {
            self.next += 1;
        }
        match unit.role {
            Role::Structure => {
                self.end_number();
                self.broken = true;
            }
            Role::Number => {
                self.broken = true;
                self.number(unit, &view);
            }
            Role::Text => {
                self.end_number();
                self.text(unit, &view);
            }
        }
    }

    fn text(&mut self, unit: &Unit<'_>, view: &Range<usize>) {
        let mut index = self.next;
        while let Some(span) = self.spans.get(index).filter(|span| span.start < view.end) {
            let part = span.start.max(view.start)..span.end.min(view.end);
            if !part.is_empty() {
                let source = match unit.source.len() == unit.text.len() {
                    true => unit.source.start + part.start - view.start..unit.source.start + part.end - view.start,
                    false => unit.source.clone(),
                };
                let goes_on = |spot: &&mut Spot| spot.index == index && spot.view.end == part.start;
                match self.spots.last_mut().filter(goes_on).filter(|_| !self.broken) {
                    Some(spot) => {
                        spot.view.end = part.end;
                        spot.source.end = source.end;
                    }
                    None => {
                        self.spots.push(Spot { index, view: part, source, depth: unit.depth, number: false });
                        self.broken = false;
                    }
                }
            }
            index += 1;
        }
    }

    fn number(&mut self, unit: &Unit<'_>, view: &Range<usize>) {
        let touching = self.spans.get(self.next).is_some_and(|span| span.start < view.end);
        let next = self.next;
        match &mut self.number {
            Some((spot, touched)) => {
                if touching && !*touched {
                    spot.index = next;
                }
                spot.view.end = view.end;
                spot.source.end = unit.source.end;
                *touched |= touching;
            }
            None => {
                let (view, source) = (view.clone(), unit.source.clone());
                self.number = Some((Spot { index: next, view, source, depth: unit.depth, number: true }, touching));
            }
        }
    }

    fn end_number(&mut self) {
        if let Some((spot, true)) = self.number.take() {
            self.spots.push(spot);
        }
    }
}

/// A value as it is written so many strings deep.
///
/// ```
/// use sluice::guard::nested::escaped;
///
/// assert_eq!(escaped("a\"b", 0), "a\"b");
/// assert_eq!(escaped("a\"b", 2), r#"a\\\"b"#);
/// ```
pub fn escaped(value: &str, depth: u8) -> String {
    let mut text = value.to_owned();
    for _ in 0..depth {
        let mut json = String::with_capacity(text.len() + 8);
        write_string(&mut json, &text);
        text = json.get(1..json.len() - 1).unwrap_or_default().to_owned();
    }
    text
}
