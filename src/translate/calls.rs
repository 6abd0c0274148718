//! The tool calls in OpenAI's streams, separated, and stored while they wait for their turn.

/// The maximum number of calls in an answer.
const MAX_CALLS: usize = 256;
/// The maximum size of waiting arguments, in bytes.
const MAX_HELD: usize = 4 << 20;

/// The calls so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// The number of calls that have begun, in order.
    begun: usize,
    held: usize,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    /// Arguments that arrived before the call's turn.
    held: String,
    nesting: Nesting,
}

/// The call whose turn it is.
pub(super) struct Begun {
    pub id: String,
    pub name: String,
    pub held: String,
}

impl Calls {
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The index of a piece's call, which may be new; `None` if there are too many. Some servers give no index, or the
    /// same one for all calls, and only the ids distinguish them.
    pub fn find(&mut self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let other = |call: &Call| !id.is_empty() && !call.id.is_empty() && call.id != id;
        let known = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index && !other(call)),
            None => self.calls.len().checked_sub(1).filter(|last| !self.calls.get(*last).is_some_and(other)),
        };
        let place = match known {
            Some(place) => place,
            None if self.calls.len() == MAX_CALLS => return None,
            None => {
                self.calls.push(Call { index, ..Call::default() });
                self.calls.len() - 1
            }
        };
        let call = self.calls.get_mut(place)?;
        // they may be repeated
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        Some(place)
    }

    /// Stores arguments until their call's turn; `false` if they are too many. Arguments for a finished call are
    /// ignored.
    pub fn hold(&mut self, place: usize, json: &str) -> bool {
        let Some(call) = self.calls.get_mut(place).filter(|_| place >= self.begun) else {
            return true;
        };
        self.held += json.len();
        call.held.push_str(json);
        self.held <= MAX_HELD
    }

    /// The next call that has not begun and has a name.
    pub fn next_waiting(&self) -> Option<usize> {
        self.calls.get(self.begun).filter(|call| !call.name.is_empty()).map(|_| self.begun)
    }

    /// Begins a call.
    pub fn begin(&mut self, place: usize) -> Option<Begun> {
        let call = self.calls.get_mut(place)?;
        self.begun = place + 1;
        self.held = self.held.saturating_sub(call.held.len());
        let (name, held) = (std::mem::take(&mut call.name), std::mem::take(&mut call.held));
        Some(Begun { id: call.id.clone(), name, held })
    }

    /// Notes that these arguments have been sent.
    pub fn saw(&mut self, place: usize, json: &str) {
        if let Some(call) = self.calls.get_mut(place) {
            json.bytes().for_each(|byte| call.nesting.step(byte));
        }
    }

    /// Whether a call's arguments are a complete object.
    pub fn is_complete(&self, place: usize) -> bool {
        self.calls.get(place).is_none_or(|call| call.nesting.begun && call.nesting.depth == 0)
    }

    /// Whether any of a call's arguments have been sent.
    pub fn has_begun(&self, place: usize) -> bool {
        self.calls.get(place).is_some_and(|call| call.nesting.any)
    }

    pub fn reserved(&self) -> usize {
        let texts = self.calls.iter().map(|call| call.id.capacity() + call.name.capacity() + call.held.capacity());
        self.calls.capacity() * size_of::<Call>() + texts.sum::<usize>()
    }
}

/// The bracket depth of a JSON text that arrives in pieces.
#[derive(Clone, Copy, Debug, Default)]
struct Nesting {
    depth: usize,
    within_string: bool,
    escaped: bool,
    /// A bracket has been opened.
    begun: bool,
    any: bool,
}

impl Nesting {
    fn step(&mut self, byte: u8) {
        self.any = true;
        match (self.within_string, byte) {
            (true, _) if self.escaped => self.escaped = false,
            (true, b'\\') => self.escaped = true,
            (true, b'"') => self.within_string = false,
            (true, _) => {}
            (false, b'"') => self.within_string = true,
            (false, b'{' | b'[') => {
                self.depth += 1;
                self.begun = true;
            }
            (false, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
            (false, _) => {}
        }
    }
}
