//! One request, from its headers to its answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};

use crate::args::Args;
use crate::control::{self, Control};
use crate::faults::{json_response, Stage};
use crate::journal::{Journal, Ticket};
use crate::line::Line;
use crate::plan::{Fault, Plan};
use crate::playback::{Finale, HungUp, Playback, Score};
use crate::problem::{Dialect, Problem};
use crate::route::Route;
use crate::scene::Scene;
use crate::socket::Ending;
use crate::{clock, dialect, realtime};

const LARGEST_BODY: usize = 64 << 20;

/// State shared by all connections.
#[derive(Debug)]
pub struct Server {
    pub name: String,
    pub api_key: Option<String>,
    pub models: Vec<String>,
    pub control: Control,
    pub journal: Arc<Journal>,
    serial: AtomicU64,
}

impl Server {
    pub fn new(args: Args) -> Self {
        Self {
            name: args.name,
            api_key: args.api_key,
            models: args.models,
            control: Control::default(),
            journal: Arc::new(Journal::new(!args.no_journal)),
            serial: AtomicU64::new(0),
        }
    }

    fn scene<'a>(&'a self, plan: &'a Plan) -> Scene<'a> {
        Scene {
            name: &self.name,
            models: &self.models,
            plan,
            now: clock::now(),
            serial: self.serial.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// One client's connection.
#[derive(Debug)]
pub struct Visit {
    pub server: Arc<Server>,
    pub line: Arc<Line>,
    pub sni: Option<Arc<str>>,
    /// Plain HTTP on a TLS port: it does not serve models.
    pub control_only: bool,
}

impl Visit {
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Playback>, HungUp> {
        let path = request.uri().path();
        if control::owns(path) {
            return self.control(request).await;
        }
        if path == "/healthz" {
            return self.health();
        }
        if self.control_only {
            let body = Bytes::from_static(b"{\"error\":\"models are served over TLS here\"}");
            return Ok(json_response(StatusCode::BAD_REQUEST, body, &self.line));
        }
        self.model(request).await
    }

    async fn control(&self, request: Request<Incoming>) -> Result<Response<Playback>, HungUp> {
        let (head, body) = request.into_parts();
        let server = &self.server;
        let (status, shown) = match read(body).await? {
            Ok(body) => control::answer(&server.control, &server.journal, &head.method, &head.uri, &body),
            Err(_) => (StatusCode::PAYLOAD_TOO_LARGE, Bytes::new()),
        };
        Ok(json_response(status, shown, &self.line))
    }

    /// A server that refuses connections also refuses health checks.
    fn health(&self) -> Result<Response<Playback>, HungUp> {
        if self.server.control.take_refusal() {
            return Err(self.refuse());
        }
        let body = Bytes::from_static(b"{\"status\":\"ok\"}");
        Ok(json_response(StatusCode::OK, body, &self.line))
    }

    async fn model(&self, request: Request<Incoming>) -> Result<Response<Playback>, HungUp> {
        let plan = self.server.control.take();
        if plan.fault == Some(Fault::Refuse) {
            return Err(self.refuse());
        }
        let (head, body) = request.into_parts();
        let ticket = self.server.journal.open(&head, self.sni.as_ref());
        if plan.fault == Some(Fault::CloseEarly) {
            return Err(HungUp);
        }
        if plan.fault.is_none() && realtime::is_asked(&head) {
            return self.converse(&head, ticket);
        }
        let body = read(body).await?;
        if let (Some(ticket), Ok(body)) = (&ticket, &body) {
            ticket.body(body);
        }
        let slot = plan.slots.take().await;
        if !plan.delay.is_zero() {
            tokio::time::sleep(plan.delay).await;
        }
        let route = Route::of(&head.method, &head.uri);
        let (dialect, chunk_delay, line) = (route.dialect, plan.chunk_delay, Arc::clone(&self.line));
        let stage = Stage { dialect, chunk_delay, line, ticket, slot };
        let key = self.server.api_key.as_deref();
        let answer = || {
            let body = body?;
            dialect::answer(route, &head.headers, key, &body, &self.server.scene(&plan))
        };
        stage.perform(&plan, answer).await
    }

    fn converse(&self, head: &Parts, ticket: Option<Ticket>) -> Result<Response<Playback>, HungUp> {
        let key = self.server.api_key.as_deref();
        if let Err(problem) = dialect::check_credential(Dialect::OpenAi, &head.headers, key) {
            let body = Bytes::from(problem.body(Dialect::OpenAi).to_string());
            return Ok(json_response(problem.status, body, &self.line));
        }
        let nothing = Playback::new(Score::whole(Bytes::new(), None), Finale::End, Arc::clone(&self.line), None);
        let (response, conversation) = realtime::agree(head, ticket, nothing).ok_or(HungUp)?;
        self.line.go_on_with(conversation);
        Ok(response)
    }

    fn refuse(&self) -> HungUp {
        self.line.end_with(Ending::Rst);
        HungUp
    }
}

/// The outer error: the client closed the connection, so there is nobody to answer.
async fn read(body: Incoming) -> Result<Result<Bytes, Problem>, HungUp> {
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(collected) => Ok(Ok(collected.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(Err(Problem::too_large())),
        Err(_) => Err(HungUp),
    }
}
