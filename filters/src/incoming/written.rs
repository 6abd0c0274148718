//! Requests whose body the gateway writes, such as those to text endpoints.

use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::exchange::CHAT_PATH;
use sluice::parsed_request::{self, ParsedRequest};
use sluice::prompts::{Kind, Library};
use sluice::texts::{read, TextRequest};

use super::Incoming;
use crate::host::{self, Headers};
use crate::registry::SharedExchange;
use crate::replaced_body;

impl Incoming {
    /// Takes in a request to a text endpoint: it becomes a chat request, or several.
    #[cold]
    pub(super) fn texts(
        &mut self,
        kind: Kind,
        is_part: bool,
        library: &Library,
        body: &[u8],
    ) -> Result<&SharedExchange, ApiError> {
        let settings = library.texts().ok_or_else(|| ApiError::internal("There are no text endpoints."))?;
        match read(kind, body, library, settings, is_part)? {
            TextRequest::Chat(body, task) => {
                let is_set = host::set_header(Headers::Request, ":path", CHAT_PATH)
                    && host::set_header(Headers::Request, "content-type", "application/json");
                if !is_set {
                    return Err(ApiError::internal("The gateway could not rewrite the request."));
                }
                let parsed = parsed_request::read(Endpoint::ChatCompletions, None, &body)?;
                self.exchange.borrow_mut().becomes_chat(task);
                self.write(parsed, body)?;
            }
            TextRequest::Several(batch) => self.exchange.borrow_mut().becomes_batch(batch),
        }
        Ok(&self.exchange)
    }

    /// Takes in a request whose body the gateway has written in place of the client's.
    #[cold]
    pub(super) fn write(&mut self, parsed: ParsedRequest, body: Vec<u8>) -> Result<(), ApiError> {
        if !self.weight.grow(body.len()) {
            return Err(ApiError::out_of_memory());
        }
        replaced_body::send(&body, self.exchange.borrow().original().length.is_some())?;
        self.exchange.borrow_mut().read_written(parsed, body);
        Ok(())
    }
}
