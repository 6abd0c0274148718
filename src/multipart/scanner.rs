//! The state of a form that is arriving.

use memchr::memmem;

use super::delimiter::{find, Delimiter, Found};
use super::header::{self, PartHeaders};
use super::{Field, Form, Problem, MAX_FIELDS, MAX_KEPT};
use crate::error::ApiError;

/// The most parts.
const MAX_PARTS: usize = 1000;
/// The longest headers of one part.
const MAX_HEADERS: usize = 8 << 10;
/// So much is looked at in one go: what is held is at most this, and what could not be judged before.
const SLICE: usize = 16 << 10;

/// Reads a form in any pieces.
///
/// ```
/// use sluice::multipart::FormScanner;
///
/// let mut scanner = FormScanner::new("multipart/form-data; boundary=\"b b\"").unwrap();
/// scanner.feed(b"--b b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nmodel\r\n");
/// scanner.feed(b"--b b\r\nContent-Disposition: form-data; name=model\r\n\r\nwhisper-1\r\n--b b--");
/// let form = scanner.finish().unwrap();
/// let model = form.field("model").unwrap();
/// assert_eq!((model.value.as_str(), form.fields.len()), ("whisper-1", 1));
/// assert_eq!(model.range.len(), 9);
/// ```
#[derive(Debug, Default)]
pub struct FormScanner {
    form: Form,
    /// Whether lines end in CRLF, once one has.
    crlf: Option<bool>,
    state: State,
    /// What has arrived and could not be judged.
    held: Vec<u8>,
    /// The position in the body of the first held byte.
    position: usize,
    length: usize,
    kept: usize,
    parts: usize,
    /// The fields that are read, and have been there.
    seen: Vec<&'static str>,
    problem: Option<Problem>,
}

#[derive(Debug)]
enum State {
    /// Before the first part. `fresh`: at the start of the body.
    Preamble { fresh: bool },
    /// In a part's headers.
    Headers,
    /// In a part's content. `fresh`: at its start.
    Content { part: PartHeaders, start: usize, value: Option<Vec<u8>>, fresh: bool },
    /// After the last part.
    Epilogue { fresh: bool },
}

impl Default for State {
    fn default() -> Self {
        State::Preamble { fresh: true }
    }
}

/// Whether there is more to do with what is held.
#[derive(PartialEq, Eq)]
enum Progress {
    Again,
    Wait,
}

impl FormScanner {
    /// For a request with this `content-type`.
    ///
    /// # Errors
    /// It is not a form, or has no valid boundary.
    pub fn new(content_type: &str) -> Result<Self, ApiError> {
        let boundary = header::boundary(content_type).ok_or(Problem::Boundary).map_err(Problem::error)?;
        let delimiter = ["--", boundary].concat().into_bytes();
        Ok(FormScanner { form: Form { delimiter, ..Form::default() }, ..FormScanner::default() })
    }

    /// The number of bytes that have been read.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The next bytes of the body.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        for slice in bytes.chunks(SLICE) {
            if self.problem.is_none() {
                self.held.extend_from_slice(slice);
                self.run(false);
            }
        }
    }

    /// The form, once all of it has been read.
    ///
    /// # Errors
    /// 400: it cannot be read, or not without doubt.
    pub fn finish(mut self) -> Result<Form, ApiError> {
        if self.problem.is_none() {
            self.run(true);
        }
        match (self.problem, self.state) {
            (Some(problem), _) => Err(problem.error()),
            (None, State::Epilogue { .. }) => {
                self.form.length = self.length;
                Ok(self.form)
            }
            (None, _) => Err(Problem::Incomplete.error()),
        }
    }

    fn run(&mut self, end: bool) {
        loop {
            match self.step(end) {
                Ok(Progress::Again) => {}
                Ok(Progress::Wait) => return,
                Err(problem) => {
                    self.problem = Some(problem);
                    return;
                }
            }
        }
    }

    fn step(&mut self, end: bool) -> Result<Progress, Problem> {
        let fresh = match &self.state {
            State::Headers => return self.headers(),
            State::Preamble { fresh } | State::Content { fresh, .. } | State::Epilogue { fresh } => *fresh,
        };
        match find(&self.form.delimiter, &self.held, fresh, end) {
            Found::Malformed => Err(Problem::Delimiter),
            Found::None { from } => {
                self.consume(from)?;
                Ok(Progress::Wait)
            }
            Found::Delimiter(found) => {
                if let State::Epilogue { .. } = self.state {
                    return Err(Problem::Delimiter); // some servers would go on
                }
                if matches!(self.state, State::Content { fresh: true, .. }) && found.before.is_none() {
                    return Err(Problem::Delimiter); // some servers read it as content
                }
                self.ends_agree(&found)?;
                self.consume(found.content)?;
                self.end_part()?;
                self.held.drain(..(found.next - found.content).min(self.held.len()));
                self.position += found.next - found.content;
                // the line end of the last delimiter has been read
                self.state = if found.last { State::Epilogue { fresh: found.after.is_some() } } else { State::Headers };
                Ok(Progress::Again)
            }
        }
    }

    /// All delimiters must have the same line ends.
    fn ends_agree(&mut self, found: &Delimiter) -> Result<(), Problem> {
        // what stands before the first part is not read by anyone
        let before = found.before.filter(|_| !matches!(self.state, State::Preamble { .. }));
        for crlf in before.into_iter().chain(found.after) {
            if *self.crlf.get_or_insert(crlf) != crlf {
                return Err(Problem::LineEnds);
            }
        }
        Ok(())
    }

    /// Takes `count` bytes of content away.
    fn consume(&mut self, count: usize) -> Result<(), Problem> {
        if count == 0 {
            return Ok(());
        }
        let bytes = self.held.get(..count).unwrap_or_default();
        match &mut self.state {
            State::Preamble { fresh } | State::Epilogue { fresh } => *fresh = false,
            State::Headers => {}
            State::Content { part, value, fresh, .. } => {
                *fresh = false;
                if let Some(kept) = value {
                    self.kept += bytes.len();
                    kept.extend_from_slice(bytes);
                    if self.kept > MAX_KEPT {
                        part.known.map_or(Ok(()), |known| Err(Problem::TooLong(known)))?;
                        self.kept -= kept.len();
                        *value = None;
                        self.form.incomplete = true;
                    }
                }
            }
        }
        self.held.drain(..count);
        self.position += count;
        Ok(())
    }

    /// Reads a part's headers, if all of them are there.
    fn headers(&mut self) -> Result<Progress, Problem> {
        let crlf = self.crlf.unwrap_or(true);
        let (blank, ends): (&[u8], &[u8]) = if crlf { (b"\r\n", b"\r\n\r\n") } else { (b"\n", b"\n\n") };
        let found = match self.held.starts_with(blank) {
            true => Some((0, blank.len())),
            false => memmem::find(&self.held, ends).map(|at| (at + blank.len(), at + ends.len())),
        };
        if found.map_or(self.held.len(), |(length, _)| length) > MAX_HEADERS {
            return Err(Problem::Header);
        }
        let Some((length, next)) = found else {
            return Ok(Progress::Wait);
        };
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(Problem::TooMany);
        }
        let part = header::read(self.held.get(..length).unwrap_or_default(), crlf)?;
        if let Some(known) = part.known {
            if self.seen.contains(&known) {
                return Err(Problem::Repeated(known));
            }
            self.seen.push(known);
        }
        let is_text = part.name.is_some() && !part.file;
        let keeps = is_text && (self.form.fields.len() < MAX_FIELDS || part.known.is_some());
        self.form.incomplete |= is_text && (!keeps || part.encoded);
        self.held.drain(..next);
        self.position += next;
        let value = keeps.then(Vec::new);
        self.state = State::Content { part, start: self.position, value, fresh: true };
        Ok(Progress::Again)
    }

    /// Keeps the field whose content has ended.
    fn end_part(&mut self) -> Result<(), Problem> {
        let state = std::mem::replace(&mut self.state, State::Headers);
        let State::Content { part: PartHeaders { name: Some(name), known, .. }, start, value: Some(value), .. } = state
        else {
            return Ok(());
        };
        match (String::from_utf8(value), known) {
            (Ok(value), _) => self.form.fields.push(Field { name, value, range: start..self.position, changed: false }),
            (Err(_), Some(known)) => return Err(Problem::Encoded(known)),
            (Err(_), None) => self.form.incomplete = true,
        }
        Ok(())
    }
}
