//! Envoy's handling of a request: filters, a route, attempts, retries, and the answer's way back through the filters.

use std::sync::Once;
use std::time::Duration;

use serde_json::{json, Value};

use super::{host, value, Answer, Callout, Context, HeaderList, Stream};
use crate::exports::{
    proxy_on_configure, proxy_on_context_create, proxy_on_delete, proxy_on_http_call_response, proxy_on_log,
    proxy_on_request_body, proxy_on_request_headers, proxy_on_response_body, proxy_on_response_headers, proxy_on_tick,
};
use crate::types::Action;

/// The only client's key.
pub(super) const KEY: &str = "sk-demo-user";
const KEY_HASH: &str = "sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c";
const CHAIN: u32 = 1;
const ATTEMPT: u32 = 2;

/// One Envoy worker with Sluice's filters.
pub(super) struct Envoy;

/// A client's request, known by the number of its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call(u32);

/// One attempt at a request.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    context: u32,
    call: Call,
    pub cluster: String,
    pub headers: HeaderList,
    pub body: Vec<u8>,
}

/// The state of a request or an attempt.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A filter holds it.
    Held,
    /// It continues.
    Passed,
    /// The client, or Envoy's router, has an answer, or more of one.
    Answered(Answer),
    /// Envoy's router must retry.
    Retried,
}

/// The tests' configuration: two targets, tried in order.
pub(super) fn configuration() -> Value {
    json!({
        "auth": {"keys": [{"id": "alice", "hash": KEY_HASH, "models": ["gpt-4o"], "limits": {"concurrency": 100}}]},
        "router": {
            "upstreams": {
                "one": {"cluster": "one", "credential": {"env": "SLUICE_TEST_KEY_ONE"}},
                "two": {"cluster": "two", "credential": {"env": "SLUICE_TEST_KEY_TWO"}},
            },
            "models": [{"name": "gpt-4o", "strategy": "priority",
                "targets": [{"upstream": "one", "model": "gpt-one"}, {"upstream": "two", "model": "gpt-two"}]}],
        },
        "usage": {"access_log": true},
    })
}

pub(super) fn chat(text: &str, stream: bool) -> Vec<u8> {
    json!({"model": "gpt-4o", "stream": stream, "messages": [{"role": "user", "content": text}]})
        .to_string()
        .into_bytes()
}

pub(super) fn completion(text: &str) -> Vec<u8> {
    json!({"id": "c", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}})
    .to_string()
    .into_bytes()
}

impl Envoy {
    /// Starts with this configuration of the filters `root_id`.
    pub fn start(root_id: &str, configuration: &Value) -> Result<Envoy, String> {
        static ENVIRONMENT: Once = Once::new();
        ENVIRONMENT.call_once(|| {
            std::env::set_var("SLUICE_TEST_KEY_ONE", "key-of-one");
            std::env::set_var("SLUICE_TEST_KEY_TWO", "key-of-two");
            crate::exports::log_to_host();
        });
        host(|host| host.now = Duration::from_secs(1_800_000_000));
        for (context, root_id, configuration) in
            [(CHAIN, root_id, configuration.to_string()), (ATTEMPT, "attempt", "{}".to_owned())]
        {
            let size = configuration.len();
            host(|host| {
                host.root_id = root_id.to_owned();
                host.configuration = configuration.into_bytes();
                host.contexts.insert(context, Context::default());
                host.streams.push(Stream::default());
                host.effective = context;
            });
            proxy_on_context_create(context, 0);
            if !proxy_on_configure(context, size) {
                return Err(host(|host| host.log.join("\n")));
            }
        }
        Ok(Envoy)
    }

    /// Advances the time, in steps of a tick.
    pub fn wait(&self, time: Duration) {
        for _ in 0..time.as_millis() / 50 {
            host(|host| host.now += Duration::from_millis(50));
            self.tick();
        }
    }

    pub fn tick(&self) {
        for root in [CHAIN, ATTEMPT] {
            act(root);
            proxy_on_tick(root);
        }
    }

    /// A request begins.
    pub fn begin(&self, path: &str, key: &str, further: &[(&str, &str)]) -> (Call, Step) {
        self.begin_with("POST", path, key, further)
    }

    fn begin_with(&self, method: &str, path: &str, key: &str, further: &[(&str, &str)]) -> (Call, Step) {
        let mut request: HeaderList = [(":method", method), (":path", path), (":authority", "gateway")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        request.push(("authorization".to_owned(), format!("Bearer {key}")));
        request.push(("content-type".to_owned(), "application/json".to_owned()));
        request.retain(|(name, _)| further.iter().all(|(other, _)| name != other));
        request.extend(further.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        let stream = host(|host| {
            host.streams.push(Stream { request, ..Stream::default() });
            host.streams.len() - 1
        });
        let call = Call(open(CHAIN, Context { stream, ..Context::default() }));
        let action = proxy_on_request_headers(call.0, 0, 0);
        (call, step(call.0, action))
    }

    /// The gateway's own answer to a `GET`.
    pub fn get(&self, path: &str, key: &str) -> Answer {
        let (call, mut step) = self.begin_with("GET", path, key, &[]);
        if matches!(step, Step::Held) {
            step = self.body(call, b"", true);
        }
        self.end(call);
        let Step::Answered(answer) = step else { panic!("{step:?}") };
        answer
    }

    /// Further bytes of a request's body arrive.
    pub fn body(&self, call: Call, bytes: &[u8], end: bool) -> Step {
        let size = act_with(call.0, |context| {
            context.request_body.extend_from_slice(bytes);
            context.request_body.len()
        });
        let action = proxy_on_request_body(call.0, size, u32::from(end));
        step(call.0, action)
    }

    /// The cluster of a request.
    pub fn cluster(&self, call: Call) -> Option<String> {
        act(call.0);
        host(|host| Some(String::from_utf8_lossy(host.stream()?.filter_state.get("sluice.cluster")?).into_owned()))
    }

    /// Envoy's router begins an attempt. `Err`: a filter has answered it.
    pub fn attempt(&self, call: Call) -> Result<Attempt, Answer> {
        let cluster = self.cluster(call).expect("a cluster was chosen");
        let (stream, body) = act_with(call.0, |context| (context.stream, context.request_body.clone()));
        let size = body.len();
        let begun = Context { stream, cluster: Some(cluster.clone()), request_body: body, ..Context::default() };
        let context = open(ATTEMPT, begun);
        let mut action = proxy_on_request_headers(context, 0, 0);
        let answered = |action| match step(context, action) {
            Step::Answered(answer) => Err(answer),
            _ => Ok(()),
        };
        answered(action)?;
        act(context);
        action = proxy_on_request_body(context, size, 1);
        answered(action)?;
        assert_eq!(action, Action::Continue, "nothing holds a complete request");
        act(context);
        let headers = host(|host| host.stream().unwrap().request.clone());
        let body = host(|host| host.context().unwrap().request_body.clone());
        Ok(Attempt { context, call, cluster, headers, body })
    }

    /// The upstream's headers arrive.
    pub fn respond(&self, attempt: &Attempt, status: u16, content_type: &str) -> Step {
        let response =
            vec![(":status".to_owned(), status.to_string()), ("content-type".to_owned(), content_type.to_owned())];
        act_with(attempt.context, |context| context.response = response);
        let action = proxy_on_response_headers(attempt.context, 0, 0);
        match step(attempt.context, action) {
            Step::Passed => self.pass(attempt, true, b"", false),
            other => self.out_of_attempt(attempt, other),
        }
    }

    /// Further bytes of the upstream's body arrive; the last with `end`.
    pub fn send(&self, attempt: &Attempt, bytes: &[u8], end: bool) -> Step {
        let held = act_with(attempt.context, |context| {
            let held = context.response_body.len();
            context.response_body.extend_from_slice(bytes);
            held
        });
        let size = held + bytes.len();
        let first = !act_with(attempt.call.0, |context| context.response_goes_on);
        act(attempt.context);
        let action = proxy_on_response_body(attempt.context, size, u32::from(end));
        match step(attempt.context, action) {
            Step::Passed => {
                let bytes = act_with(attempt.context, |context| std::mem::take(&mut context.response_body));
                self.pass(attempt, first, &bytes, end)
            }
            other => self.out_of_attempt(attempt, other),
        }
    }

    /// Deletes an attempt's context, in any state: it has ended, or its connection has failed.
    pub fn end_attempt(&self, attempt: &Attempt) {
        close(attempt.context);
    }

    /// An attempt ends without an answer; with Envoy's reason if it could not connect.
    pub fn lose(&self, attempt: &Attempt, reason: Option<&str>) {
        act_with(attempt.context, |context| context.failure = reason.map(str::to_owned));
        self.end_attempt(attempt);
    }

    /// The oldest call of a filter to a service that has no answer yet.
    pub fn callout(&self) -> Option<Callout> {
        host(|host| host.callouts.first().cloned())
    }

    /// Answers the oldest call of a filter to a service. With status 0 it fails.
    pub fn answer_callout(&self, status: u16, body: &[u8]) {
        let callout = host(|host| {
            let headers: HeaderList = match status {
                0 => Vec::new(),
                _ => vec![(":status".to_owned(), status.to_string())],
            };
            host.callout_answer = Answer { status, headers, body: body.to_vec() };
            host.callouts.remove(0)
        });
        act(callout.context);
        proxy_on_http_call_response(callout.context, callout.token, usize::from(status > 0), body.len(), 0);
    }

    /// What a filter that held a request has answered since, if it has.
    pub fn reply(&self, call: Call) -> Option<Answer> {
        act_with(call.0, |context| context.reply.take()).map(|reply| deliver(call, reply))
    }

    /// Whether a filter that held a request has let it go on.
    pub fn goes_on(&self, call: Call) -> bool {
        act_with(call.0, |context| context.request_goes_on)
    }

    /// What has reached the client since it was last asked.
    pub fn answer_so_far(&self, call: Call) -> Vec<u8> {
        act_with(call.0, |context| std::mem::take(&mut context.response_body))
    }

    /// The client's stream ends, or the client leaves.
    pub fn end(&self, call: Call) {
        act(call.0);
        proxy_on_log(call.0);
        close(call.0);
    }

    /// Passes an attempt's output through the client's filters.
    fn pass(&self, attempt: &Attempt, first: bool, bytes: &[u8], end: bool) -> Step {
        let response = act_with(attempt.context, |context| context.response.clone());
        if first && value(&response, "x-sluice-retry").is_some() {
            self.end_attempt(attempt);
            return Step::Retried;
        }
        Step::Answered(answer(attempt.call, first.then_some(response), bytes, end))
    }

    fn out_of_attempt(&self, attempt: &Attempt, step: Step) -> Step {
        match step {
            Step::Answered(reply) => Step::Answered(deliver(attempt.call, reply)),
            other => other,
        }
    }

    /// Sends a chat, answers its attempts with `serve`, and continues until the client has its answer.
    pub fn chat(&self, body: &[u8], serve: impl Fn(&Attempt) -> (u16, Vec<u8>)) -> Answer {
        let (call, begun) = self.begin("/v1/chat/completions", KEY, &[]);
        let mut step = match begun {
            Step::Answered(_) => begun,
            _ => self.body(call, body, true),
        };
        while !matches!(step, Step::Answered(_)) {
            let attempt = match self.attempt(call) {
                Ok(attempt) => attempt,
                Err(reply) => {
                    step = Step::Answered(reply);
                    break;
                }
            };
            let (status, body) = serve(&attempt);
            step = self.respond(&attempt, status, "application/json");
            if !matches!(step, Step::Retried) {
                step = self.send(&attempt, &body, true);
            }
            if !matches!(step, Step::Retried) {
                self.end_attempt(&attempt);
            }
        }
        self.end(call);
        let Step::Answered(answer) = step else { panic!("{step:?}") };
        answer
    }
}

/// Passes a filter's own reply through the client's filters.
fn deliver(call: Call, reply: Answer) -> Answer {
    let mut headers = reply.headers;
    headers.push((":status".to_owned(), reply.status.to_string()));
    answer(call, Some(headers), &reply.body, true)
}

/// Part of an answer passes the client's filters, which must not hold any of it here.
fn answer(call: Call, head: Option<HeaderList>, bytes: &[u8], end: bool) -> Answer {
    if let Some(head) = head {
        act_with(call.0, |context| context.response = head);
        proxy_on_response_headers(call.0, 0, u32::from(end && bytes.is_empty()));
    }
    let size = act_with(call.0, |context| {
        context.response_goes_on = true;
        context.response_body.extend_from_slice(bytes);
        context.response_body.len()
    });
    if size > 0 || end {
        proxy_on_response_body(call.0, size, u32::from(end));
    }
    act_with(call.0, |context| {
        let headers = context.response.clone();
        let status = value(&headers, ":status").and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, headers, body: std::mem::take(&mut context.response_body) }
    })
}

/// The result of a callback.
fn step(context: u32, action: Action) -> Step {
    match act_with(context, |context| context.reply.take()) {
        Some(reply) if host(|host| host.context().unwrap().cluster.is_some()) => Step::Answered(reply),
        Some(reply) => Step::Answered(deliver(Call(context), reply)),
        None if action == Action::Continue => Step::Passed,
        None => Step::Held,
    }
}

fn open(root: u32, begun: Context) -> u32 {
    let context = host(|host| {
        host.opened += 1;
        let context = ATTEMPT + host.opened;
        host.contexts.insert(context, begun);
        host.effective = context;
        context
    });
    proxy_on_context_create(context, root);
    context
}

fn close(context: u32) {
    act(context);
    proxy_on_delete(context);
    host(|host| host.contexts.remove(&context));
}

/// Ends everything that is still open.
pub(super) fn end_all() {
    for context in host(|host| host.contexts.keys().rev().copied().collect::<Vec<_>>()) {
        close(context);
    }
}

fn act(context: u32) {
    host(|host| host.effective = context);
}

fn act_with<T>(context: u32, look: impl FnOnce(&mut Context) -> T) -> T {
    act(context);
    host(|host| look(host.context().expect("the context is open")))
}
