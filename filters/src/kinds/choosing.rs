//! The steps of a request until its kind is known.
//!
//! | step | then |
//! |---|---|
//! | its conversation has a kind, or it fits a rule, or this worker remembers the choice | that is its kind |
//! | a chat model is asked | the kind that it names |
//! | the examples' vectors are there | its own vector is asked for, and the nearest examples say the kind |
//! | they are not | it waits for them |
//!
//! Only for conversations is anybody asked: counts of tokens and embeddings have kinds by rules alone, and say nothing of
//! the conversation's.
//!
//! Whatever fails, or takes longer than `timeout`: the request is of no kind, and `otherwise` answers.

use std::rc::Rc;
use std::time::Duration;

use sluice::chat_model;
use sluice::embeddings;
use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::kinds::{classified, classifier_body, embeddings_body, By, Choose, ConversationKey, Found, Opening};
use sluice::routing::{Model, Table};

use super::calls;
use super::examples::{self, Known};
use super::remembered;
use crate::chain;
use crate::host::{self, Buffer};
use crate::metrics::count_kind;
use crate::registry::SharedExchange;
use crate::settings;
use crate::stored;

/// The result of a choice.
pub enum Chosen {
    /// The request has its model, or may not be sent.
    Ready(Result<(), ApiError>),
    /// It waits.
    Waits(Box<Pending>),
}

/// A request on its way.
pub struct Pending {
    table: Rc<Table>,
    model: usize,
    opening: Opening,
    key: ConversationKey,
    is_conversation: bool,
    context: u32,
    until: Duration,
    step: Step,
}

/// What it waits for.
enum Step {
    /// The vectors of the examples.
    Examples,
    /// The service's answer.
    Asked,
}

impl Drop for Pending {
    fn drop(&mut self) {
        calls::forget(self.context);
        examples::forget(self.context);
    }
}

/// Chooses the model of a request to a virtual model.
pub fn choose(shared: &SharedExchange, table: &Rc<Table>, context: u32) -> Chosen {
    let exchange = shared.borrow();
    let virtual_model = || {
        let parsed = exchange.parsed().filter(|parsed| !parsed.by_id && parsed.form.is_none())?;
        let index = table.find(&parsed.model).filter(|_| exchange.socket().is_none())?;
        Some((index, table.models().get(index)?.choose.as_deref()?, parsed))
    };
    let Some((model, choose, parsed)) = virtual_model() else {
        return Chosen::Ready(Ok(()));
    };
    let name = table.models().get(model).map_or("", |model| model.name.as_str());
    if let Err(error) = exchange.may_use_any(name, choose) {
        return Chosen::Ready(Err(error));
    }
    let Some(body) = body_of(&exchange) else {
        return Chosen::Ready(Err(ApiError::out_of_memory()));
    };
    let is_conversation = parsed.endpoint.answers_in_words();
    let opening = Opening::of(parsed.endpoint, &body);
    let key = exchange.conversation(choose, &opening.text);
    let known = known_kind(&exchange, choose, &opening, &key);
    drop(exchange);
    let pending = Box::new(Pending {
        table: table.clone(),
        model,
        opening,
        key,
        is_conversation,
        context,
        until: Duration::ZERO,
        step: Step::Asked,
    });
    match known {
        Some(found) => Chosen::Ready(pending.end(found, shared)),
        None => pending.ask(shared),
    }
}

fn body_of(exchange: &Exchange) -> Option<Vec<u8>> {
    let size = exchange.parsed()?.layout.length;
    match exchange.whole_body() {
        Some(body) => Some(body.to_vec()),
        None => host::bytes(Buffer::RequestBody, size).filter(|body| body.len() == size),
    }
}

/// The kind, if nobody has to be asked.
fn known_kind(
    exchange: &Exchange,
    choose: &Choose,
    opening: &Opening,
    key: &ConversationKey,
) -> Option<(Option<usize>, Found)> {
    // a response that continues another one
    let stored = exchange.parsed().into_iter().flat_map(|parsed| &parsed.stored.0);
    let stored = stored.filter_map(|id| stored::find(exchange.stored_id(id)));
    for (_, model) in stored {
        if let Some(kind) = choose.kinds.iter().position(|kind| kind.model == model) {
            return Some((Some(kind), Found::Kept));
        }
    }
    if opening.goes_on {
        if let Some(kind) = remembered::kept(choose, key) {
            return Some((Some(kind).filter(|kind| *kind < choose.kinds.len()), Found::Kept));
        }
    }
    if let Some(kind) = choose.by_rules(opening) {
        return Some((Some(kind), Found::Rules));
    }
    let is_asked = exchange.parsed().is_some_and(|parsed| parsed.endpoint.answers_in_words());
    if choose.by == By::Rules || !is_asked || opening.text.trim().is_empty() {
        return Some((None, Found::Otherwise));
    }
    remembered::find(choose, &opening.text).map(|kind| (kind, Found::Remembered))
}

/// Goes on with a request that has been woken.
pub fn go_on(mut pending: Box<Pending>, shared: &SharedExchange) -> Chosen {
    match pending.step {
        Step::Examples => pending.ask(shared),
        Step::Asked => match calls::heard(pending.context) {
            None => {
                pending.step = Step::Asked;
                chain::wait_for_wake();
                Chosen::Waits(pending)
            }
            Some(body) => {
                let found = body.and_then(|body| pending.read(&body));
                if let (Some(kind), Some(choose)) = (found, pending.choose()) {
                    remembered::remember(choose, &pending.opening.text, kind);
                }
                let found = match found {
                    Some(Some(kind)) => (Some(kind), Found::Asked),
                    Some(None) => (None, Found::Otherwise),
                    None => (None, Found::Failed),
                };
                Chosen::Ready(pending.end(found, shared))
            }
        },
    }
}

impl Pending {
    fn virtual_model(&self) -> Option<&Model> {
        self.table.models().get(self.model)
    }

    fn choose(&self) -> Option<&Choose> {
        self.virtual_model()?.choose.as_deref()
    }

    /// Asks the service, or waits until it can.
    fn ask(mut self: Box<Self>, shared: &SharedExchange) -> Chosen {
        let now = host::now();
        let table = self.table.clone();
        let Some(choose) = table.models().get(self.model).and_then(|model| model.choose.as_deref()) else {
            return Chosen::Ready(self.end((None, Found::Failed), shared));
        };
        if self.until.is_zero() {
            self.until = now + choose.timeout;
        }
        let left = self.until.saturating_sub(now);
        let call = match &choose.by {
            By::Rules => None,
            // the examples, or the stream's turn, came too late
            _ if left.is_zero() => None,
            By::Llm(service) if calls::has_room() => {
                let body = classifier_body(choose, &service.model, &self.opening);
                calls::send(&table, service, (Endpoint::ChatCompletions, chat_model::PATH), &body, left)
            }
            By::Embedding(service, _) => match examples::find(&table, self.model, choose, (self.context, self.until)) {
                Known::Ready(_) if calls::has_room() => {
                    let body = embeddings_body(&service.model, &[&self.opening.text]);
                    calls::send(&table, service, (Endpoint::Embeddings, embeddings::PATH), &body, left)
                }
                Known::Soon => {
                    self.step = Step::Examples;
                    chain::wait_for_wake();
                    return Chosen::Waits(self);
                }
                Known::Ready(_) | Known::Failed => None,
            },
            By::Llm(_) => None,
        };
        match call {
            Some(call) => {
                calls::expect(call, self.context);
                self.step = Step::Asked;
                chain::wait_for_wake();
                Chosen::Waits(self)
            }
            None => Chosen::Ready(self.end((None, Found::Failed), shared)),
        }
    }

    /// The kind that an answer says; `None`: it is not an answer.
    fn read(&self, body: &[u8]) -> Option<Option<usize>> {
        let choose = self.choose()?;
        let found = match &choose.by {
            By::Rules => None,
            By::Llm(_) => classified(choose, body),
            By::Embedding(_, threshold) => {
                match examples::find(&self.table, self.model, choose, (self.context, self.until)) {
                    Known::Ready(vectors) => {
                        let vector = embeddings::read(200, body, 1).ok().and_then(|mut vectors| vectors.pop());
                        vector.map(|vector| vectors.nearest(&vector, *threshold))
                    }
                    Known::Soon | Known::Failed => None,
                }
            }
        };
        if found.is_none() {
            calls::fail("shape", "its answer is not what was asked for");
        }
        found
    }

    /// Gives the request the model of its kind.
    fn end(&self, (kind, found): (Option<usize>, Found), shared: &SharedExchange) -> Result<(), ApiError> {
        let (Some(model), Some(choose)) = (self.virtual_model(), self.choose()) else {
            return Err(ApiError::internal("The gateway lost a virtual model."));
        };
        // a failure may pass by the conversation's next request
        if found != Found::Failed && self.is_conversation && !self.opening.text.is_empty() {
            remembered::keep(choose, &self.key, kind);
        }
        let exchange = shared.borrow();
        let (name, chosen) = exchange.model_of_kind(&model.name, choose, (kind, found))?;
        count_kind(&chosen.virtual_model, &chosen.kind, chosen.found);
        let (Some(parsed), Some(body)) = (exchange.parsed(), body_of(&exchange)) else {
            return Err(ApiError::out_of_memory());
        };
        let (user, has_length) = (parsed.user, exchange.original().length.is_some());
        let prepared = settings::choose(parsed, body, name, &self.table)?;
        drop(exchange);
        let (parsed, body) = settings::write(prepared, has_length)?;
        let mut exchange = shared.borrow_mut();
        exchange.prepared(sluice::parsed_request::ParsedRequest { user, ..parsed }, body);
        exchange.set_kind(chosen);
        Ok(())
    }
}
