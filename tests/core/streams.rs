//! Streams of real servers: good ones pass at once and complete; bad ones are detected, before or after their first
//! event.

use serde::Deserialize;
use sluice::endpoint::{classify, Endpoint, RequestTarget};
use sluice::response_gate::{FirstEvent, Gate};
use sluice::usage::{Framing, Meter, UsageSource};

/// A stream of `tests/corpus/streams.json`.
#[derive(Deserialize)]
struct Stream {
    server: String,
    path: String,
    content_type: Option<String>,
    want: Want,
    body: String,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Want {
    /// It is valid and complete.
    Whole,
    /// It fails before its first event, so another target can be tried.
    Retried,
    /// It fails after its first event, or ends without a last event.
    Failed,
}

impl Stream {
    fn endpoint(&self) -> Endpoint {
        match classify("POST", &self.path, "/gateway") {
            RequestTarget::Body(endpoint) | RequestTarget::Path(endpoint, _) => endpoint,
            RequestTarget::Stored(_)
            | RequestTarget::Gateway(_)
            | RequestTarget::WrongMethod(_)
            | RequestTarget::Unknown => panic!("{}", self.path),
        }
    }

    /// Whether its beginning lets it pass to the client.
    fn passes(&self, chunks: &[&[u8]]) -> bool {
        let Ok(mut first) = FirstEvent::new(self.endpoint(), self.content_type.as_deref()) else {
            return false;
        };
        let gates = chunks.iter().enumerate().map(|(index, chunk)| first.chunk(chunk, index + 1 == chunks.len()));
        gates.into_iter().find(|gate| *gate != Gate::Hold) == Some(Gate::Commit)
    }

    /// The metering: the usage's source, and whether the last event was missing.
    fn metered(&self, chunks: &[&[u8]]) -> (UsageSource, bool) {
        let framing =
            Framing::of_answer(self.endpoint().dialect(), true, self.body.trim_start_matches('\u{feff}').as_bytes());
        let mut meter = Meter::new(framing, false);
        for (index, chunk) in chunks.iter().enumerate() {
            let _ = meter.chunk(chunk, index + 1 == chunks.len());
        }
        (meter.finish().1, meter.is_interrupted())
    }
}

fn streams() -> Vec<Stream> {
    serde_json::from_str(include_str!("../corpus/streams.json")).unwrap()
}

#[test]
fn streams_of_real_servers() {
    let streams = streams();
    let of = |want| streams.iter().filter(|stream| stream.want == want).count();
    assert!(of(Want::Whole) >= 60 && of(Want::Retried) + of(Want::Failed) >= 30);
    let mut wrong = Vec::new();
    for stream in &streams {
        let bytes = stream.body.as_bytes();
        let middle = bytes.split_at(bytes.len() / 2);
        let ways = [vec![bytes], bytes.chunks(1).collect(), vec![middle.0, middle.1, b""]];
        for chunks in &ways {
            let chunks: &[&[u8]] = if bytes.is_empty() { &[b""] } else { chunks };
            let passes = stream.passes(chunks);
            let right = match stream.want {
                Want::Retried => !passes,
                Want::Whole => {
                    let (source, interrupted) = stream.metered(chunks);
                    passes && source != UsageSource::Partial && !interrupted
                }
                Want::Failed => passes && stream.metered(chunks).0 != UsageSource::Reported,
            };
            if !right {
                wrong.push(format!("{} passes: {passes}, metered: {:?}", stream.server, stream.metered(chunks)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
