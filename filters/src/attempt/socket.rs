//! An attempt that goes on as WebSocket. Envoy hands over the bytes of both sides as bodies: those of the client can be held
//! and replaced, and nothing reaches the server before it has agreed.

use sluice::endpoint::Socket as Kind;
use sluice::exchange::Exchange;
use sluice::limits::prompt_tokens;
use sluice::memory_budget::Purpose;
use sluice::websocket::{ClientEvent, ClientFrames, ClientMessage, Close, ServerFrames, Strictness};

use crate::budget::{self, NoMemory};
use crate::data_version;
use crate::host::{self, Buffer};
use crate::limits;
use crate::registry::{self, SharedExchange};
use crate::revoked;
use crate::types::Action;

/// Reads the frames of the client and of the server.
pub(super) struct Socket {
    /// `None` if nothing is known of the caller.
    client: Option<ClientFrames>,
    /// `None` if nobody asks for the usage.
    server: Option<ServerFrames>,
}

impl Socket {
    /// The readers for a request that wishes to go on as WebSocket; `None` for all others.
    pub fn of(exchange: &Exchange) -> Option<Box<Socket>> {
        let state = exchange.socket()?;
        let is_metered = registry::has_meter() || !state.subjects.is_empty();
        Some(Box::new(Socket {
            client: exchange.identity().map(|_| ClientFrames::default()),
            server: is_metered.then(|| ServerFrames::new(exchange.format())),
        }))
    }

    /// The client has sent further bytes: what may pass goes on.
    #[cold]
    pub fn pass_client(&mut self, shared: &SharedExchange, size: usize) -> Action {
        let Some(client) = self.client.as_mut().filter(|_| size > 0) else {
            return Action::Continue;
        };
        let (bytes, passes) = match budget::receive(Purpose::Body, Buffer::RequestBody, 0, size) {
            _ if client.is_closed() => (None, Vec::new()),
            Ok(bytes) => {
                let room = client.held().saturating_add(budget::room(Purpose::Body));
                let passes = client.chunk(&bytes, room, &mut |message| judge(shared, message));
                (Some(bytes), passes)
            }
            Err(NoMemory) => (None, client.lose()),
        };
        match bytes.as_ref() == Some(&passes) || host::replace_bytes(Buffer::RequestBody, &passes) {
            true => Action::Continue,
            false => Action::Pause, // nothing may pass unread
        }
    }

    /// The server has sent further bytes: they pass, and the usage in them is charged.
    #[cold]
    pub fn pass_server(&mut self, shared: &SharedExchange, size: usize) {
        let Some(server) = self.server.as_mut().filter(|_| size > 0) else {
            return;
        };
        match budget::receive(Purpose::Answer, Buffer::ResponseBody, 0, size) {
            Ok(bytes) => server.chunk(&bytes, budget::room(Purpose::Answer), &mut |tokens| {
                limits::charge(&mut shared.borrow_mut(), tokens);
            }),
            Err(NoMemory) => server.lose(),
        }
        if server.has_unread() {
            shared.borrow_mut().socket_mut().into_iter().for_each(|state| state.has_unread = true);
        }
    }
}

/// Whether a client's message may pass.
///
/// # Errors
/// The connection must be closed.
fn judge(shared: &SharedExchange, message: ClientMessage<'_>) -> Result<(), Close> {
    let mut exchange = shared.borrow_mut();
    let (strictness, Some(identity)) = (exchange.strictness(), exchange.identity().cloned()) else {
        return Ok(());
    };
    data_version::read();
    if revoked::is_revoked(&identity) {
        return Err(Close::policy("the API key has been revoked"));
    }
    if identity.is_expired(host::now()) {
        return Err(Close::policy("the API key has expired"));
    }
    let event = match message {
        ClientMessage::Text(text) => ClientEvent::judge(text, strictness, &|model| identity.models.matches(model))?,
        ClientMessage::Binary | ClientMessage::Large => {
            let reads_all = exchange.names_models_later();
            match (message, strictness) {
                (_, Strictness::All) if !reads_all => None,
                (ClientMessage::Binary, Strictness::All) => None,
                (ClientMessage::Binary, _) => return Err(Close::policy("a binary message cannot be checked")),
                (_, _) => return Err(Close::policy("a message over 4 MiB cannot be checked")),
            }
        }
    };
    // what cannot be read may create a response
    let is_passed = exchange.socket().is_none_or(|state| state.socket == Kind::Passed);
    let creates = event.as_ref().map_or(!is_passed, |event| event.creates);
    let is_over = exchange.socket().is_some_and(|state| state.is_over);
    if let (Some(state), Some(event)) = (exchange.socket_mut(), event) {
        if let (Kind::Responses, Some(model)) = (state.socket, event.models.into_iter().next()) {
            state.named = Some(model);
        }
    }
    if creates {
        let length = if let ClientMessage::Text(text) = message { text.len() } else { 0 };
        limits::turn(&exchange, prompt_tokens(length)).map_err(|error| Close::policy(error.message))?;
    } else if is_over && limits::is_used_up(&exchange) {
        return Err(Close::policy("a limit of the key is used up"));
    }
    Ok(())
}
