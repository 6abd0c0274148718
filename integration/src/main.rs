//! Mock model servers: one binary that answers like OpenAI, Azure OpenAI, Anthropic, Ollama and Gemini, and fails on
//! demand in every way that providers have been seen to fail.
//!
//! The gateway is tested with real sockets, so the faults are real too: a reset is a TCP RST, a truncated body is a
//! closed connection. The usage that the mock reports is counted, never invented. It is kept in a journal, so that
//! tests can compare it with the gateway's counts.

mod answer;
mod args;
mod clock;
mod control;
mod dialect;
mod faults;
mod form;
mod gate;
mod handler;
mod healthcheck;
mod journal;
mod line;
mod plan;
mod playback;
mod problem;
mod prompt;
mod realtime;
mod route;
mod scene;
mod server;
mod slots;
mod socket;
#[cfg(feature = "tls")]
mod tls;
mod tokens;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let outcome = match &args.healthcheck {
        Some(target) => healthcheck::run(target),
        None => serve(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("mock-models: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// One thread serves everything: it is fast enough. So the journal always has everything that a client was sent, before
/// the next request is read.
fn serve(args: args::Args) -> Result<(), String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?
        .block_on(server::run(args))
}
