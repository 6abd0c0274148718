//! Where a part of a text's decoded view is written.

use std::ops::Range;

use super::{boundary, Nesting, Role, Unit};
use crate::json::write_escaped;

/// A part of a finding: after its replacement, a document is still valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The index of its span.
    pub index: usize,
    /// The range in the view.
    pub view: Range<usize>,
    /// The range in the text.
    pub source: Range<usize>,
    /// The number of enclosing strings.
    pub depth: u8,
    /// Whether it is a number in a document: then its replacement is a string.
    pub number: bool,
}

/// Where these spans of a text's view are written in the text; they are sorted and do not overlap. A span across the
/// end of a string is split there.
pub fn locate(nesting: Nesting, text: &str, spans: &[Range<usize>]) -> Vec<Spot> {
    let mut locator = Locator::new(nesting, text);
    let mut spots = Vec::with_capacity(spans.len());
    while !locator.read(text, text.len(), &|index| spans.get(index).cloned(), &mut spots) {}
    spots
}

/// [`locate`] in parts, so that other work can run in between.
pub(in crate::guard) struct Locator {
    nesting: Nesting,
    /// Whether the view equals the text.
    plain: bool,
    /// The position of the reader.
    read: usize,
    /// The first span that does not end before the current end of the view.
    next: usize,
    /// The length of the view so far.
    at: usize,
    /// The last spot, which the next part of the text may extend.
    last: Option<Spot>,
    /// Whether something that must stay comes after the last spot.
    broken: bool,
    /// The current number, and the first span that touches it.
    number: Option<(Spot, bool)>,
}

impl Locator {
    /// For a text that is read from this state on.
    pub fn new(nesting: Nesting, text: &str) -> Self {
        let plain = nesting == Nesting::default() && !Nesting::is_of_interest(text);
        Locator { nesting, plain, read: 0, next: 0, at: 0, last: None, broken: true, number: None }
    }

    /// Reads about this many bytes of the text. Finished spots go to `spots`, in order; `span` returns the spans by
    /// index. Both, and the text, must be the same each time. Returns whether this was the last part.
    pub fn read(
        &mut self,
        text: &str,
        size: usize,
        span: &impl Fn(usize) -> Option<Range<usize>>,
        spots: &mut Vec<Spot>,
    ) -> bool {
        let start = self.read;
        let mut end = boundary(text, start.saturating_add(size.max(1)));
        if self.plain {
            while let Some(found) = span(self.next).filter(|found| found.start < end || end == text.len()) {
                end = end.max(found.end).min(text.len());
                let (view, source) = (found.clone(), found);
                spots.push(Spot { index: self.next, view, source, depth: 0, number: false });
                self.next += 1;
            }
            self.read = boundary(text, end);
            return self.read == text.len();
        }
        let mut nesting = self.nesting;
        while self.read == start && start < text.len() {
            let last = end == text.len();
            let part = text.get(start..end).unwrap_or_default();
            let read = nesting.walk(part, last, |mut unit| {
                unit.source = unit.source.start + start..unit.source.end + start;
                self.see(&unit, span, spots);
            });
            self.read = if last { end } else { start + read };
            // it is not even a complete escape
            end = boundary(text, end.saturating_add(size.max(1)));
        }
        self.nesting = nesting;
        let ended = self.read == text.len();
        if ended {
            self.end_number(spots);
        }
        // the text continues after it
        if ended || self.last.as_ref().is_some_and(|spot| spot.view.end < self.at) {
            spots.extend(self.last.take());
        }
        ended
    }

    /// How far the text has been read, with all spots up to there reported.
    pub fn told(&self) -> usize {
        let open = [self.last.as_ref(), self.number.as_ref().map(|(spot, _)| spot)];
        open.into_iter().flatten().map(|spot| spot.source.start).fold(self.read, usize::min)
    }

    fn see(&mut self, unit: &Unit<'_>, span: &impl Fn(usize) -> Option<Range<usize>>, spots: &mut Vec<Spot>) {
        let view = self.at..self.at + unit.text.len();
        self.at = view.end;
        while span(self.next).is_some_and(|span| span.end <= view.start) {
            self.next += 1;
        }
        match unit.role {
            Role::Structure => {
                self.end_number(spots);
                self.broken = true;
            }
            Role::Number => {
                self.broken = true;
                self.number(unit, &view, span);
            }
            Role::Text => {
                self.end_number(spots);
                self.text(unit, &view, span, spots);
            }
        }
    }

    fn text(
        &mut self,
        unit: &Unit<'_>,
        view: &Range<usize>,
        span: &impl Fn(usize) -> Option<Range<usize>>,
        spots: &mut Vec<Spot>,
    ) {
        let mut index = self.next;
        while let Some(span) = span(index).filter(|span| span.start < view.end) {
            let part = span.start.max(view.start)..span.end.min(view.end);
            if !part.is_empty() {
                let source = match unit.source.len() == unit.text.len() {
                    true => unit.source.start + part.start - view.start..unit.source.start + part.end - view.start,
                    false => unit.source.clone(),
                };
                let goes_on = |spot: &&mut Spot| spot.index == index && spot.view.end == part.start;
                match self.last.as_mut().filter(goes_on).filter(|_| !self.broken) {
                    Some(spot) => {
                        spot.view.end = part.end;
                        spot.source.end = source.end;
                    }
                    None => {
                        let spot = Spot { index, view: part, source, depth: unit.depth, number: false };
                        spots.extend(self.last.replace(spot));
                        self.broken = false;
                    }
                }
            }
            index += 1;
        }
    }

    fn number(&mut self, unit: &Unit<'_>, view: &Range<usize>, span: &impl Fn(usize) -> Option<Range<usize>>) {
        let touching = span(self.next).is_some_and(|span| span.start < view.end);
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

    fn end_number(&mut self, spots: &mut Vec<Spot>) {
        if let Some((spot, true)) = self.number.take() {
            spots.extend(self.last.replace(spot));
        }
    }
}

/// A value, escaped for this many nested strings.
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
        write_escaped(&mut json, &text);
        text = json;
    }
    text
}
