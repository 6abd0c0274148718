//! The state of a WebSocket, while it is open.

use super::Exchange;
use crate::endpoint::Socket;
use crate::limits::{Limits, Subject};
use crate::routing::{Route, Table};
use crate::usage::{TokenUsage, UsageSource};
use crate::websocket::Strictness;

/// What is known of a WebSocket.
#[derive(Debug)]
pub struct SocketState {
    /// What it is.
    pub socket: Socket,
    /// Who is charged for it, with their limits.
    pub subjects: Vec<(Subject, Limits)>,
    /// The model that the client has named last; only where frames name it.
    pub named: Option<String>,
    /// After the last charge, a limit was exceeded.
    pub is_over: bool,
    /// There was a message that could not be read, and may have reported usage.
    pub has_unread: bool,
    tokens: TokenUsage,
    microusd: u64,
}

impl Exchange {
    /// The client wishes to go on with WebSocket.
    pub fn upgrade(&mut self, socket: Socket) {
        self.socket = Some(Box::new(SocketState {
            socket,
            subjects: Vec::new(),
            named: None,
            is_over: false,
            has_unread: false,
            tokens: TokenUsage::default(),
            microusd: 0,
        }));
    }

    /// Its WebSocket, if it is one.
    pub fn socket(&self) -> Option<&SocketState> {
        self.socket.as_deref()
    }

    /// The same, to be changed.
    pub fn socket_mut(&mut self) -> Option<&mut SocketState> {
        self.socket.as_deref_mut()
    }

    /// Whether the frames of its WebSocket name the models, and are checked.
    pub fn names_models_later(&self) -> bool {
        self.socket().is_some_and(|state| state.socket == Socket::Responses)
    }

    /// How the client's messages are judged. A key that names a passed path may send anything there.
    pub fn strictness(&self) -> Strictness {
        let is_any = self.identity.as_ref().is_none_or(|identity| identity.models.is_any());
        match self.socket().map(|state| state.socket) {
            _ if is_any => Strictness::All,
            Some(Socket::Responses) => Strictness::Named,
            Some(Socket::Realtime) => Strictness::Some,
            Some(Socket::Passed) | None => Strictness::All,
        }
    }

    /// A response on its WebSocket has used these tokens. Returns their cost, in millionths of a dollar.
    pub fn socket_used(&mut self, tokens: TokenUsage) -> u64 {
        let named = self.socket().and_then(|state| state.named.as_deref());
        let microusd = match named {
            Some(model) => self.routed().map_or(0, |route| cost_of(route, model, &tokens)),
            None => self.price().map_or(0, |price| price.cost(&tokens)),
        };
        if let Some(state) = self.socket_mut() {
            state.tokens += tokens;
            state.microusd = state.microusd.saturating_add(microusd);
        }
        microusd
    }

    /// What its WebSocket has used, once it has been opened.
    pub fn socket_usage(&self) -> Option<(TokenUsage, UsageSource)> {
        let state = self.socket().filter(|_| self.answered() == Some(101))?;
        Some((state.tokens, if state.has_unread { UsageSource::Partial } else { UsageSource::Reported }))
    }

    pub(super) fn socket_cost(&self) -> Option<u64> {
        self.socket().map(|state| state.microusd)
    }
}

/// The cost of tokens of a model that a frame names, by its price at the upstream.
fn cost_of(route: &Route, model: &str, tokens: &TokenUsage) -> u64 {
    let table: &Table = route.table();
    let known = table.find(model).and_then(|index| table.models().get(index));
    let upstream = route.upstream().map(|upstream| upstream.name.as_str());
    let is_there = |index: usize| table.upstreams().get(index).map(|known| known.name.as_str()) == upstream;
    let price = known.and_then(|known| {
        let target = known.targets.iter().find(|target| is_there(target.upstream));
        target.map_or(known.price, |target| table.price_at(known, target, model))
    });
    price.map_or(0, |price| price.cost(tokens))
}
