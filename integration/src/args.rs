//! The command line.

use std::net::SocketAddr;

use clap::Parser;

/// A mock model server: OpenAI, Azure OpenAI, Anthropic, Ollama and Gemini on one port, with
/// faults controlled over `/_mock`: `PUT /_mock` with `{"fault": "status", "status": 503}` (or `refuse`, `hang`, `reset_body`,
/// ...; see integration/src/plan.rs), `DELETE /_mock` ends it, `GET /_mock/requests` lists what was answered.
#[derive(Debug, Parser)]
#[command(name = "mock-models", version)]
pub struct Args {
    /// Address and port to listen on; port 0 picks a free one, which is printed.
    #[arg(long, value_name = "ADDR:PORT", required_unless_present = "healthcheck")]
    pub listen: Option<SocketAddr>,

    /// This server's name, which its answers contain, so that a test can tell which server answered.
    #[arg(long, default_value = "mock")]
    pub name: String,

    /// The credential that a request must have, in its dialect's usual header; none: any is accepted.
    #[arg(long, value_name = "SECRET")]
    pub api_key: Option<String>,

    /// A model served here (repeatable); none: every model.
    #[arg(long = "model", value_name = "NAME")]
    pub models: Vec<String>,

    /// Certificate chain, PEM; plain HTTP then only serves `/_mock` and `/healthz`.
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    pub tls_cert: Option<std::path::PathBuf>,

    /// Private key of the certificate, PEM.
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    pub tls_key: Option<std::path::PathBuf>,

    /// Keep no record of the requests: for load tests.
    #[arg(long)]
    pub no_journal: bool,

    /// Ask the server at this address or URL for `/healthz`; exit 0 if it is healthy, else 1.
    #[arg(long, value_name = "URL-or-ADDR", exclusive = true)]
    pub healthcheck: Option<String>,
}
