//! Every answer of the corpus, cut at every place; then every one of them broken in some way.

use sluice::endpoint::{classify, RequestTarget};
use sluice::usage::{
    Boundaries, Format, Framing, Meter, Pass, TokenUsage, UsageReading, UsageSource, LARGE_EVENT, MAX_JSON,
};

use super::answers::{entries, Entry};

/// The result of an answer.
#[derive(Debug, PartialEq)]
struct Metered {
    usage: TokenUsage,
    source: UsageSource,
    interrupted: bool,
    out: Vec<u8>,
}

/// Meters an answer in chunks, `end` with the last one; also returns the most that was held.
fn meter(mut meter: Meter, chunks: &[&[u8]]) -> (Metered, usize) {
    let (mut out, mut held) = (Vec::new(), 0);
    for (index, chunk) in chunks.iter().enumerate() {
        match meter.chunk(chunk, index + 1 == chunks.len()) {
            Pass::Unchanged => out.extend_from_slice(chunk),
            Pass::Replace(replaced) => out.extend_from_slice(replaced),
        }
        held = held.max(meter.held());
    }
    assert_eq!(meter.held(), 0, "nothing is held at the end");
    let (usage, source) = meter.finish();
    (Metered { usage, source, interrupted: meter.is_interrupted(), out }, held)
}

fn want(entry: &Entry, strip: bool) -> Metered {
    let out = if strip { entry.passes.clone() } else { entry.bytes.to_vec() };
    Metered { usage: entry.usage, source: entry.source, interrupted: entry.interrupted, out }
}

#[test]
fn every_answer_at_every_split() {
    let entries = entries();
    assert!(entries.len() >= 60);
    for entry in &entries {
        let want = want(entry, entry.strip);
        let check = |chunks: &[&[u8]], how: &str| {
            let (found, _) = meter(Meter::new(entry.framing, entry.strip), chunks);
            assert!(found == want, "{}, {how}:\n{found:?}\ninstead of\n{want:?}", entry.name);
        };
        let bytes = entry.bytes;
        check(&[bytes], "whole");
        check(&[bytes, b""], "an empty chunk at the end");
        check(&bytes.chunks(1).collect::<Vec<_>>(), "byte by byte");
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            check(&[head, tail], &format!("split at {at}"));
        }
    }
}

#[test]
fn every_answer_without_stripping() {
    for entry in entries() {
        let (found, _) = meter(Meter::new(entry.framing, false), &[entry.bytes]);
        assert_eq!(found, want(&entry, false), "{}", entry.name);
    }
}

#[test]
fn every_answer_in_its_own_format() {
    for entry in entries() {
        let meter_in = |format| meter(Meter::new(entry.framing, entry.strip).with_format(format), &[entry.bytes]).0;
        assert_eq!(meter_in(entry.dialect.into()), want(&entry, entry.strip), "{}", entry.name);
        let others =
            Format::ALL.into_iter().filter(|format| *format != Format::Auto && *format != entry.dialect.into());
        for other in others {
            let shared = matches!(
                (Format::from(entry.dialect), other),
                (_, Format::OpenAi | Format::Anthropic | Format::Converse)
            );
            let usage = meter_in(other).usage;
            assert!(shared || usage == TokenUsage::default(), "{} read as {}: {usage:?}", entry.name, other.name());
        }
    }
}

#[test]
fn framings_of_answers() {
    for entry in entries() {
        assert_eq!(Framing::of_answer(entry.dialect, entry.stream, entry.bytes), entry.framing, "{}", entry.name);
        assert_eq!(Framing::of_content_type(&entry.content_type), entry.framing, "{}", entry.name);
        match classify("POST", &entry.path, "/gateway") {
            RequestTarget::Body(endpoint) | RequestTarget::Path(endpoint, _) => {
                assert_eq!(endpoint.dialect(), entry.dialect)
            }
            // paths of OpenAI's that the gateway does not route yet
            RequestTarget::Unknown => {
                assert!(entry.path.starts_with("/v1/images") || entry.path.starts_with("/v1/audio"))
            }
            RequestTarget::Stored(_) | RequestTarget::Gateway(_) | RequestTarget::WrongMethod(_) => {
                panic!("{}", entry.path)
            }
        }
    }
}

#[test]
fn held_bytes_are_bounded() {
    let mut most = ("", 0);
    for entry in entries() {
        let bytes: Vec<&[u8]> = entry.bytes.chunks(1).collect();
        let (_, held) = meter(Meter::new(entry.framing, entry.strip), &bytes);
        let bound = match entry.framing {
            Framing::Json | Framing::EventStream => entry.bytes.len(),
            Framing::Sse => entry.bytes.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap_or(0) + 64,
            Framing::Ndjson => entry.bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap_or(0),
        };
        assert!(held <= bound || entry.name.contains("-cr.") || entry.name.contains("several"), "{}", entry.name);
        println!("{:<52} {:>5} bytes, held {held:>5}", entry.name, entry.bytes.len());
        if entry.framing != Framing::Json && held > most.1 {
            most = (entry.name, held);
        }
    }
    println!("most of a stream: {} bytes ({})", most.1, most.0);
    for (framing, limit) in [(Framing::Sse, LARGE_EVENT), (Framing::Ndjson, MAX_JSON), (Framing::Json, MAX_JSON)] {
        let (mut endless, mut held, mut reserved) = (Meter::new(framing, true), 0, 0);
        for _ in 0..200 {
            endless.chunk(&[b'x'; 32_768], false);
            held = held.max(endless.held());
            reserved = reserved.max(endless.reserved());
        }
        println!("worst case, {framing:?}: held {held}, reserved {reserved}");
        assert!(held <= limit && reserved <= 4 * limit);
        assert!(endless.held() == 0 && endless.reserved() < 1024, "given back");
    }
}

/// An xorshift generator: the same cases in every run, native and in WebAssembly.
struct Cases(u64);

impl Cases {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap()
    }

    fn range(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(bytes.len() + 1);
        start..start + self.below((bytes.len() - start).min(80) + 1)
    }

    /// Breaks an answer in a few places.
    fn mutate(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        const PIECES: [&[u8]; 22] = [
            b"\n",
            b"\r",
            b"\r\n\r\n",
            b"\n\n",
            b"data:",
            b"data: [DONE]\n\n",
            b"event: error\n",
            b"\xef\xbb\xbf",
            b"\xff",
            b"{",
            b"}",
            b"[",
            b"\"",
            b"\\",
            b"null",
            b"-1",
            b"1e999",
            b"18446744073709551616",
            b"\"usage\":{",
            b"\"error\":1,",
            b"\"done\":true,",
            b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7}}\n\n",
        ];
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let range = self.range(&bytes);
            match self.below(5) {
                0 => drop(bytes.drain(range)),
                1 => bytes.truncate(range.start),
                2 => drop(bytes.splice(range, PIECES[self.below(PIECES.len())].iter().copied())),
                3 => {
                    let piece = other[self.range(other)].to_vec();
                    drop(bytes.splice(range.start..range.start, piece));
                }
                _ => {
                    let bits = u8::try_from(self.below(256)).unwrap();
                    bytes.iter_mut().skip(range.start).take(1).for_each(|byte| *byte ^= bits);
                }
            }
        }
        bytes
    }

    fn cut<'a>(&mut self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let largest = [3, 40, 400][self.below(3)];
        let (mut chunks, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at((self.below(largest) + 1).min(rest.len()));
            chunks.push(chunk);
            rest = tail;
        }
        chunks.push(&[]);
        chunks
    }
}

/// A stream's tokens if every event is parsed.
fn parsed(framing: Framing, bytes: &[u8]) -> TokenUsage {
    let (mut boundaries, mut reading, mut start) = (Boundaries::default(), UsageReading::default(), 0);
    while start < bytes.len() {
        let end = boundaries.next(framing, bytes).unwrap_or(bytes.len());
        reading.read_event(framing, &bytes[start..end]);
        start = end;
    }
    reading.tokens()
}

#[test]
fn broken_answers() {
    let entries = entries();
    let mut cases = Cases(0x5_1ce);
    for case in 0..4000 {
        let (entry, other) = (&entries[cases.below(entries.len())], &entries[cases.below(entries.len())]);
        let bytes = cases.mutate(entry.bytes, other.bytes);
        let framing = if cases.below(8) == 0 { other.framing } else { entry.framing };
        let name = format!("case {case}: {}, {:?}", entry.name, String::from_utf8_lossy(&bytes));
        let (passed, held) = meter(Meter::new(framing, false), &cases.cut(&bytes));
        assert!(passed.out == bytes && held <= bytes.len(), "{name}");
        let (stripped, _) = meter(Meter::new(framing, true), &cases.cut(&bytes));
        let (whole, _) = meter(Meter::new(framing, true), &[&bytes]);
        assert_eq!(stripped, whole, "cuts change nothing: {name}");
        assert_eq!(Metered { out: bytes.clone(), ..whole }, passed, "stripping changes no record: {name}");
        let parts =
            [(passed.usage.input, passed.usage.cached_input), (passed.usage.output, passed.usage.reasoning_output)];
        assert!(parts.iter().all(|(whole, part)| part <= whole), "{name}");
        if framing != Framing::Json {
            assert_eq!(parsed(framing, &bytes), passed.usage, "skipping changes nothing: {name}");
        }
    }
}

/// Every file is in the index. If not, the error says where to add it.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn no_file_is_left_out() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files
        .filter(|name| !matches!(name.as_str(), "index.json" | "streams.json" | "README.md" | ".gitattributes"))
        .collect();
    files.sort();
    assert_eq!(files, super::answers::FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}
