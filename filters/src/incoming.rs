//! Receives a request: the first of `auth` and `router` reads the headers and the body, and opens the exchange.

mod model;
mod permitted;
mod written;

use std::rc::Rc;

use sluice::endpoint::{classify, realtime_model, Dialect, Endpoint, RequestTarget, Socket, REALTIME};
use sluice::error::{ApiError, Shape};
use sluice::exchange::{Exchange, Original, MAX_KEPT_BODY};
use sluice::gateway::{Access, Command};
use sluice::keys::Identity;
use sluice::memory_budget::Purpose;
use sluice::multipart::FormScanner;
use sluice::parsed_request::ParsedRequest;
use sluice::prompts::{Kind, Library};
use sluice::routing::Table;
use sluice::tools::ToolLists;
use sluice::uri::{asks_for_stream, query_key, without_keys, without_query};
use sluice::wire_names::TEXT_HEADER;

use crate::budget::{self, BodyWeight, NoMemory};
use crate::clusters::{self, AllClusters};
use crate::data_version;
use crate::host::{self, Buffer, Headers};
use crate::limits;
use crate::registry::{self, SharedExchange};
use crate::request_head::RequestHead;
use crate::stored;
use crate::texts;
use crate::waiting;

/// A request whose headers have been taken in, and whose body is awaited.
pub struct Incoming {
    exchange: SharedExchange,
    call: RequestKind,
    /// The prompt library, if there is one.
    library: Option<Rc<Library>>,
    /// The tools that callers may offer.
    tools: Option<Rc<ToolLists>>,
    /// The body, as far as it is known, on the account of all bodies in flight.
    weight: BodyWeight,
    /// Ends the exchange with the filter that opened it.
    _opened: Opened,
}

/// Ends an exchange when the filter that opened it ends.
struct Opened {
    id: registry::Id,
}

impl Drop for Opened {
    fn drop(&mut self) {
        let ended = registry::close(self.id);
        if let Some(Ok(mut exchange)) = ended.as_ref().map(|exchange| exchange.try_borrow_mut()) {
            limits::settle(&mut exchange);
            exchange.close(&AllClusters);
        }
        if registry::is_idle() {
            clusters::tell_in_flight();
        }
        waiting::poll_queue(); // a slot may have become free
    }
}

/// What a request is for.
enum RequestKind {
    /// A model; with its name, if the path has it.
    Model(Endpoint, Option<String>),
    /// A model, whose name is a field of a form; at most `most` bytes.
    Form { endpoint: Endpoint, scanner: Box<FormScanner>, most: usize },
    /// Texts; `is_part`: it is one of several, which the gateway has sent to itself.
    Texts { kind: Kind, is_part: bool },
    /// A response that an upstream has stored under this id.
    Stored(String),
    /// A WebSocket to this model.
    Socket(String),
    /// A further path, whose upstream has this dialect. `generates`: its answer may report usage.
    Passed { path: String, dialect: Dialect, generates: bool },
    /// A command to the gateway itself.
    Command(Command),
}

/// So much of a form is in the VM's memory at a time.
pub const PIECE: usize = 64 * 1024;
/// The longest body of a command.
const MAX_COMMAND: usize = 64 * 1024;

/// Why a request was not taken in, and the shape its client expects that in.
pub struct RefusedRequest {
    /// The error.
    pub error: ApiError,
    /// Its shape.
    pub shape: Shape,
    /// The announced size of the request's body.
    pub length: Option<usize>,
}

impl Incoming {
    /// Takes in the headers: asks `identify` who is calling, given the credential headers, unless it is asked for what
    /// is open to everyone, and removes whatever must not reach Envoy's router or an upstream. `prefix` is what the
    /// gateway's own paths begin with; `find` knows the further paths; `max_upload` is the largest form; `library` has
    /// the prompts.
    ///
    /// # Errors
    /// The caller, the path or the method is unknown; or memory is short.
    pub fn open(
        prefix: &str,
        find: impl FnOnce(&str) -> Option<Dialect>,
        max_upload: impl FnOnce() -> usize,
        library: Option<Rc<Library>>,
        identify: impl FnOnce(&[(&str, &str)]) -> Result<Option<Rc<Identity>>, ApiError>,
    ) -> Result<Incoming, RefusedRequest> {
        data_version::read();
        let pairs = host::headers(Headers::Request);
        let mut headers = RequestHead::of(&pairs);
        let socket = headers.kept_back.has("upgrade").then(|| headers.socket(&pairs)).flatten();
        let shape = Shape::for_path(headers.path);
        let refuse = |error| RefusedRequest { error, shape, length: headers.length };
        let path = without_keys(headers.path);
        if !headers.clean(&path) || socket.is_some() && !headers.restore_protocols() {
            return Err(refuse(ApiError::internal("The gateway could not clean the request's headers.")));
        }
        if socket.is_some() && headers.method != "GET" {
            // Envoy would wait for frames, and not for its body
            let message = "A WebSocket begins with GET, and plain HTTP has no header `upgrade`.".to_owned();
            return Err(refuse(ApiError { message, ..ApiError::method_not_allowed(headers.method, "GET") }));
        }
        let call = match socket {
            None => classify(headers.method, headers.path, prefix),
            Some(_) => RequestTarget::Unknown,
        };
        let texts = match (&call, &library) {
            (RequestTarget::Unknown, Some(library)) if socket.is_none() => {
                library.endpoint(without_query(headers.path))
            }
            _ => None,
        };
        let token = texts.and_then(|_| pairs.iter().find(|(name, _)| *name == TEXT_HEADER.as_bytes()));
        let identity = match &call {
            _ if token.is_some() => {
                let caller = token.and_then(|(_, token)| texts::caller(host::text(token)));
                caller.ok_or_else(|| refuse(ApiError::unauthorized("The request is not the gateway's own.")))?
            }
            RequestTarget::Gateway(command) if command.access() == Access::Anyone => None,
            // Gemini's clients may send their key in the query
            RequestTarget::Path(..) | RequestTarget::Unknown if shape == Shape::Gemini => {
                let key = query_key(headers.path);
                let mut credentials = headers.credentials.clone();
                credentials.extend(key.as_deref().map(|key| ("x-goog-api-key", key)));
                identify(&credentials).map_err(refuse)?
            }
            _ => identify(&headers.credentials).map_err(refuse)?,
        };
        let call = match call {
            RequestTarget::Body(endpoint) if endpoint.takes_form() => {
                let most = max_upload();
                match FormScanner::new(headers.content_type.unwrap_or_default()) {
                    _ if headers.length.is_some_and(|length| length > most) => {
                        return Err(refuse(ApiError::upload_too_large(most)))
                    }
                    Ok(scanner) => RequestKind::Form { endpoint, scanner: Box::new(scanner), most },
                    Err(error) if is_form(headers.content_type) => return Err(refuse(error)),
                    Err(_) => return Err(refuse(ApiError::form_expected())),
                }
            }
            RequestTarget::Body(endpoint) => RequestKind::Model(endpoint, None),
            RequestTarget::Path(endpoint, model) => RequestKind::Model(endpoint, Some(model)),
            RequestTarget::Stored(id) => RequestKind::Stored(id),
            RequestTarget::Gateway(command) => RequestKind::Command(command),
            RequestTarget::WrongMethod(allowed) => {
                return Err(refuse(ApiError::method_not_allowed(headers.method, allowed)))
            }
            RequestTarget::Unknown if socket == Some(Socket::Realtime) => {
                RequestKind::Socket(realtime_model(headers.path).unwrap_or_default())
            }
            RequestTarget::Unknown => match (texts, headers.method) {
                (Some(kind), "POST") => RequestKind::Texts { kind, is_part: token.is_some() },
                (Some(_), method) => return Err(refuse(ApiError::method_not_allowed(method, "POST"))),
                (None, method) => {
                    let Some(dialect) = find(headers.path) else {
                        return Err(refuse(not_found(method, &path, socket)));
                    };
                    let generates = !matches!(method, "GET" | "HEAD" | "DELETE" | "OPTIONS");
                    RequestKind::Passed { path: without_query(headers.path).to_owned(), dialect, generates }
                }
            },
        };
        let mut weight = BodyWeight::default();
        match &call {
            RequestKind::Model(..) | RequestKind::Texts { .. } | RequestKind::Form { .. } | RequestKind::Stored(_)
                if headers.encoded =>
            {
                return Err(refuse(ApiError::unsupported_encoding()))
            }
            RequestKind::Model(..) | RequestKind::Texts { .. } | RequestKind::Form { .. } | RequestKind::Stored(_) => {
                let length = headers.length.unwrap_or(0);
                if !budget::admits(Purpose::Request, 0) || !weight.grow(length) {
                    return Err(refuse(ApiError::out_of_memory()));
                }
            }
            // it goes on as it comes
            RequestKind::Passed { .. } | RequestKind::Socket(_) if !budget::admits(Purpose::Request, 0) => {
                return Err(refuse(ApiError::out_of_memory()));
            }
            RequestKind::Passed { .. } | RequestKind::Socket(_) => {}
            // what load balancers and operators ask is answered to the last; most of it takes no body
            RequestKind::Command(command) if command.takes_body() && headers.length > Some(MAX_COMMAND) => {
                return Err(refuse(ApiError::body_too_large()));
            }
            RequestKind::Command(_) => {}
        }
        let original = Original {
            authority: headers.authority.to_owned(),
            path: path.into_owned(),
            length: headers.length,
            kept_back: headers.kept_back,
        };
        let mut exchange = Exchange::new(identity, original);
        if let Some(socket) = socket {
            exchange.upgrade(socket);
        }
        let (id, exchange) = registry::open(exchange)
            .ok_or_else(|| refuse(ApiError::internal("The gateway could not keep the request.")))?;
        Ok(Incoming { exchange, call, library, tools: None, weight, _opened: Opened { id } })
    }

    /// Whether everything that will be read has arrived: the headers end the request, or its body is not needed.
    pub fn is_complete(&self, end: bool) -> bool {
        end || match &self.call {
            RequestKind::Command(command) => !command.takes_body(),
            RequestKind::Passed { .. } | RequestKind::Socket(_) => true,
            RequestKind::Model(..) | RequestKind::Texts { .. } | RequestKind::Form { .. } | RequestKind::Stored(_) => {
                false
            }
        }
    }

    /// Records the size of the body so far.
    ///
    /// # Errors
    /// It is too large.
    pub fn grow(&mut self, size: usize) -> Result<(), ApiError> {
        match &mut self.call {
            RequestKind::Form { most, .. } if size > *most => Err(ApiError::upload_too_large(*most)),
            RequestKind::Form { scanner, .. } => match self.weight.grow(size) {
                true => scan(scanner, size),
                false => Err(ApiError::out_of_memory()),
            },
            RequestKind::Model(..) | RequestKind::Texts { .. } | RequestKind::Stored(_) if self.weight.grow(size) => {
                Ok(())
            }
            RequestKind::Model(..) | RequestKind::Texts { .. } | RequestKind::Stored(_) => {
                Err(ApiError::out_of_memory())
            }
            RequestKind::Command(_) if size > MAX_COMMAND => Err(ApiError::body_too_large()),
            RequestKind::Command(_) | RequestKind::Passed { .. } | RequestKind::Socket(_) => Ok(()),
        }
    }

    /// Whether its body passes unread.
    pub fn is_passed(&self) -> bool {
        matches!(self.call, RequestKind::Passed { .. } | RequestKind::Socket(_))
    }

    /// An answer has begun: Envoy no longer keeps the body.
    pub fn let_go(&mut self) {
        self.weight = BodyWeight::default();
    }

    /// Sets the caller, if identifying it took longer than the headers.
    pub fn identified(&self, identity: Rc<Identity>) {
        self.exchange.borrow_mut().identified(identity);
    }

    /// The exchange.
    pub fn exchange(&self) -> &SharedExchange {
        &self.exchange
    }

    /// Reads the body, once all of it is there, and leaves the parsed request, or the command, in the exchange. `table`: the
    /// models, if they are known here; else `elsewhere` has the default model.
    ///
    /// # Errors
    /// The body is not what the endpoint takes.
    pub fn body(
        &mut self,
        size: usize,
        table: Option<&Table>,
        elsewhere: impl FnOnce() -> Option<String>,
    ) -> Result<&SharedExchange, ApiError> {
        let is_form = matches!(self.call, RequestKind::Form { .. });
        let body = match size {
            _ if is_form => Vec::new(), // it has been read while it arrived
            0 => Vec::new(),
            _ => self.read(size).ok_or_else(ApiError::out_of_memory)?,
        };
        if let (RequestKind::Texts { kind, is_part }, Some(library)) = (&self.call, self.library.clone()) {
            return self.texts(*kind, *is_part, &library, &body);
        }
        if let RequestKind::Model(endpoint, path_model) = &mut self.call {
            let named = (*endpoint, path_model.take());
            match table.filter(|table| table.prepares_requests()) {
                Some(table) => self.prepare(named, body, table)?,
                None => self.model(named, body, elsewhere)?,
            }
            return Ok(&self.exchange);
        }
        let mut exchange = self.exchange.borrow_mut();
        match &mut self.call {
            RequestKind::Form { endpoint, scanner, .. } => {
                let form = std::mem::take(&mut **scanner).finish()?;
                exchange.read(ParsedRequest::of_form(*endpoint, form)?, body);
            }
            RequestKind::Stored(id) => {
                let found = stored::find(exchange.stored_id(id));
                let (_, model) = found.ok_or_else(ApiError::response_not_found)?;
                let stream = asks_for_stream(&exchange.original().path);
                exchange.read(ParsedRequest::of_stored(model, std::mem::take(id), stream, &body)?, body);
            }
            RequestKind::Passed { path, dialect, generates } => {
                exchange.read(ParsedRequest::of_path(path, *dialect, *generates), body);
            }
            RequestKind::Socket(model) => exchange.read(ParsedRequest::of_socket(std::mem::take(model)), body),
            RequestKind::Command(command) => exchange.commanded(command.clone(), body),
            RequestKind::Model(..) | RequestKind::Texts { .. } => {
                return Err(ApiError::internal("There is no prompt library."));
            }
        }
        drop(exchange);
        Ok(&self.exchange)
    }

    /// The bytes of the body; `None` if there is no memory for it. Only one large body is read at a time, and it is not
    /// kept.
    fn read(&self, size: usize) -> Option<Vec<u8>> {
        let large = size > MAX_KEPT_BODY && self.weight.size() > MAX_KEPT_BODY;
        if large && !budget::admits_beside_promises(Purpose::Body, 0) {
            return None;
        }
        let body = host::bytes(Buffer::RequestBody, size);
        if body.is_none() && self.weight.size() == 0 {
            return Some(Vec::new()); // it ended with trailers, without a body
        }
        if body.is_none() {
            budget::refuse(Purpose::Body);
        }
        body
    }

    /// The error shape of this request's client.
    pub fn shape(&self) -> Shape {
        self.exchange.borrow().shape()
    }
}

/// Reads what has arrived of a form, piece by piece: it is never in the VM's memory as a whole.
fn scan(scanner: &mut FormScanner, size: usize) -> Result<(), ApiError> {
    while scanner.length() < size {
        let start = scanner.length();
        let piece = budget::receive(Purpose::Request, Buffer::RequestBody, start, (size - start).min(PIECE))
            .map_err(|NoMemory| ApiError::out_of_memory())?;
        if piece.is_empty() {
            break;
        }
        scanner.feed(&piece);
    }
    Ok(())
}

fn is_form(content_type: Option<&str>) -> bool {
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// Why nothing is served at a path.
#[cold]
fn not_found(method: &str, path: &str, socket: Option<Socket>) -> ApiError {
    match (without_query(path), socket) {
        (REALTIME, Some(_)) => {
            let message = "Name the model in the query: /v1/realtime?model=...";
            ApiError::bad_request("missing_required_parameter", Some("model"), message)
        }
        (REALTIME, None) => ApiError::upgrade_required("This path is only served over WebSocket."),
        (_, Some(_)) => ApiError::upgrade_required("This path is not served over WebSocket; use plain HTTP."),
        (_, None) => ApiError::unknown_path(method, path),
    }
}
