//! WebSocket: OpenAI's Realtime API, and the WebSocket mode of its Responses API, as far as a gateway can tell.
//!
//! `response.create` is answered with a few events, the last of them with usage. `test.*` events make the server send what
//! no real one sends at will. Any other event is acknowledged.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::{json, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::WebSocketStream;

use crate::journal::Ticket;
use crate::tokens;

/// A conversation that begins once the server has agreed.
#[derive(Debug)]
pub struct Conversation {
    /// The model of the Realtime API; `None` for the Responses API.
    model: Option<String>,
    ticket: Option<Ticket>,
}

/// Whether a client wishes to go on with WebSocket here.
pub fn is_asked(head: &Parts) -> bool {
    let path = head.uri.path();
    head.headers.contains_key(SEC_WEBSOCKET_KEY) && matches!(path, "/v1/realtime" | "/v1/responses")
}

/// Agrees; `None` if the request lacks something.
pub fn agree<B>(head: &Parts, ticket: Option<Ticket>, body: B) -> Option<(Response<B>, Conversation)> {
    let key = head.headers.get(SEC_WEBSOCKET_KEY)?;
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, "Upgrade".parse().ok()?);
    headers.insert(UPGRADE, "websocket".parse().ok()?);
    headers.insert(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()).parse().ok()?);
    if let Some(protocol) = first_protocol(&head.headers) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol.parse().ok()?);
    }
    let query = head.uri.query().unwrap_or_default();
    let named = query.split('&').find_map(|pair| pair.strip_prefix("model="));
    let model = (head.uri.path() == "/v1/realtime").then(|| named.unwrap_or_default().to_owned());
    if let Some(ticket) = &ticket {
        ticket.status(101);
    }
    Some((response, Conversation { model, ticket }))
}

fn first_protocol(headers: &HeaderMap) -> Option<String> {
    let list = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    Some(list.split(',').next()?.trim().to_owned())
}

impl Conversation {
    /// Talks until one side closes. `read`: what has been read of the connection after the handshake.
    pub async fn hold<IO: AsyncRead + AsyncWrite + Unpin>(self, io: IO, read: Bytes) -> IO {
        let mut socket = WebSocketStream::from_partially_read(io, read.to_vec(), Role::Server, None).await;
        let _closed = self.talk(&mut socket).await;
        socket.into_inner()
    }

    async fn talk<IO: AsyncRead + AsyncWrite + Unpin>(&self, socket: &mut WebSocketStream<IO>) -> Result<(), Error> {
        let mut heard = Vec::new();
        let mut usage = (0, 0);
        if let Some(model) = &self.model {
            say(socket, &json!({"type": "session.created", "session": {"model": model}})).await?;
        }
        while let Some(message) = socket.next().await {
            let text = match message? {
                Message::Text(text) => text.to_string(),
                Message::Binary(bytes) => format!("\"{} binary bytes\"", bytes.len()),
                Message::Close(_) => return socket.flush().await,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            heard.push(serde_json::from_str(&text).unwrap_or(Value::String(text.clone())));
            if let Some(ticket) = &self.ticket {
                ticket.body(&Bytes::from(Value::from(heard.clone()).to_string()));
            }
            let event = heard.last().cloned().unwrap_or_default();
            match event["type"].as_str().unwrap_or_default() {
                "response.create" => {
                    let (input, output) = self.respond(socket, &event, &text).await?;
                    usage = (usage.0 + input, usage.1 + output);
                    if let Some(ticket) = &self.ticket {
                        ticket.usage(json!({"input_tokens": usage.0, "output_tokens": usage.1}));
                    }
                }
                "test.binary" => socket.send(Message::binary(vec![0; 100])).await?,
                "test.close" => return socket.close(None).await,
                other => say(socket, &json!({"type": "ack", "of": other, "bytes": text.len()})).await?,
            }
        }
        Ok(())
    }

    /// Answers with as many words as it was asked in; `fragments`: the last event comes in so many frames; `padding`: it
    /// has so many bytes more.
    async fn respond<IO: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocketStream<IO>,
        event: &Value,
        text: &str,
    ) -> Result<(u64, u64), Error> {
        let answer = "The quick brown fox";
        let (input, output) = (tokens::count(text), tokens::count(answer));
        say(socket, &json!({"type": "response.created", "response": {"id": "resp_1", "usage": null}})).await?;
        for word in answer.split(' ') {
            say(socket, &json!({"type": "response.output_text.delta", "delta": word})).await?;
        }
        let total = input + output;
        let details = match self.model {
            Some(_) => json!({"input_token_details": {"cached_tokens": 1, "audio_tokens": 2}}),
            None => json!({"input_tokens_details": {"cached_tokens": 1}}),
        };
        let mut usage = json!({"input_tokens": input, "output_tokens": output, "total_tokens": total});
        if let (Some(usage), Value::Object(details)) = (usage.as_object_mut(), details) {
            usage.extend(details);
        }
        let kind = if self.model.is_some() { "response.done" } else { "response.completed" };
        let padding = "x".repeat(event["padding"].as_u64().unwrap_or(0) as usize);
        let last = json!({"type": kind, "padding": padding, "response": {"id": "resp_1", "usage": usage}}).to_string();
        let fragments = event["fragments"].as_u64().unwrap_or(1).max(1) as usize;
        let size = last.len().div_ceil(fragments);
        let count = last.len().div_ceil(size);
        for (index, part) in last.as_bytes().chunks(size).enumerate() {
            let kind = OpCode::Data(if index == 0 { Data::Text } else { Data::Continue });
            socket.send(Message::Frame(Frame::message(part.to_vec(), kind, index + 1 == count))).await?;
        }
        Ok((input, output))
    }
}

async fn say<IO: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<IO>, event: &Value) -> Result<(), Error> {
    socket.send(Message::text(event.to_string())).await
}
