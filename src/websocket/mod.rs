//! WebSocket (RFC 6455) as the gateway reads it: the frames of both sides, the client's messages before they are passed on,
//! and the tokens in the server's.
//!
//! No extension is negotiated, so all payloads are plain. Whatever a frame claims, only a bounded part of it is kept.

mod client;
mod close;
mod event;
mod frame;
mod server;

pub use client::{ClientFrames, ClientMessage};
pub use close::Close;
pub use event::{ClientEvent, Strictness};
pub use frame::{Frame, FramePart, Frames, Kind, Sender, Violation};
pub use server::ServerFrames;

/// The longest message that is read, in bytes. What is asked with images or long histories fits.
pub const MAX_MESSAGE: usize = 4 << 20;
