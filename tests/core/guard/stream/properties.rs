use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::endpoint::Endpoint;
use sluice::guard::stream::{Limits, Mode, StreamGuard, Window};
use sluice::usage::Framing;

use super::restoring::Restore;
use super::{content, delta, released, run, text, window, Verdict, NOW};
use crate::generate::{chunks, of_characters};
use crate::usage::meter::stream_like;

fn events_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"<A>. \"}}]}",
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b<\"}}]}",
        "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"A\"},\"finish_reason\":\"stop\"}]}",
        "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"c!\"}}]}",
        "data: {\"choices\":[],\"usage\":{}}",
        "{\"message\":{\"content\":\"x.\"}}",
        "{\"response\":\"y\",\"done\":true}",
        "data: [DONE]",
        "data: <",
        ": ping",
    ]);
    let end = prop::sample::select(vec!["\n", "\n\n", "\r\n\r\n", "\r\r", "\r\r\n", ""]);
    vec((piece, end), 0..12)
        .prop_map(|events| events.into_iter().flat_map(|(event, end)| [event, end]).collect::<String>().into_bytes())
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn cuts_change_nothing(
        bytes in prop_oneof![3 => events_like(), 1 => stream_like(), 1 => vec(any::<u8>(), 0..80)],
        lengths in vec(0..20usize, 0..12),
        framing in prop::sample::select(vec![Framing::Sse, Framing::Ndjson, Framing::Json]),
        mode in prop::sample::select(vec![Mode::Window, Mode::Final, Mode::Pass]),
        rewrites: bool,
        bad in 1..6u64,
    ) {
        let limits = Limits { window: 3, overlap: 2, ..Limits::default() };
        let new = || {
            let guard = StreamGuard::new(Endpoint::ChatCompletions, framing, mode, limits);
            if rewrites { guard.with_rewrite(Box::<Restore>::default()) } else { guard }
        };
        let cut = chunks(&bytes, &lengths);
        let shown = run(&mut new(), &cut, released);
        if rewrites {
            prop_assert_eq!(&shown, &run(&mut new(), &[&bytes], released));
        } else {
            prop_assert_eq!(&shown, &bytes);
        }
        let masked = |window: &Window| Verdict::Release(vec![(0..window.text.len().min(window.fresh + 2), "#".into())]);
        prop_assert_eq!(run(&mut new(), &cut, masked), run(&mut new(), &[&bytes], masked));
        let blocked = |window: &Window| if window.id == bad { Verdict::Block } else { Verdict::Release(Vec::new()) };
        run(&mut new(), &cut, blocked);
    }

    #[test]
    fn nothing_is_shown_before_its_check(
        pieces in vec(of_characters("ab. ", 1..7), 1..40),
        lengths in vec(0..200usize, 0..40),
        verdicts in vec(any::<bool>(), 0..40),
        waits in vec(0..900u64, 0..40),
    ) {
        let mut guard = window(Limits { window: 8, overlap: 3, ..Limits::default() });
        let stream: String = pieces.iter().map(|piece| delta(piece)).collect();
        let (mut shown, mut checked, mut open) = (Vec::new(), 0, Vec::new());
        let mut now = NOW;
        let chunks = chunks(stream.as_bytes(), &lengths);
        for (step, chunk) in chunks.iter().enumerate() {
            now += Duration::from_millis(waits.get(step).copied().unwrap_or(0));
            shown.extend(guard.chunk(chunk, step + 1 == chunks.len(), now));
            guard.due(now);
            open.extend(std::iter::from_fn(|| guard.ready()));
            // in any order
            if verdicts.get(step).copied().unwrap_or(true) && !open.is_empty() {
                let window: Window = if step % 2 == 0 { open.remove(0) } else { open.pop().unwrap() };
                checked += window.text.len() - window.fresh;
                shown.extend(guard.release(window.id, &[]));
            }
            prop_assert!(content(&shown).len() <= checked);
            prop_assert!(stream.as_bytes().starts_with(&shown));
        }
        for window in open {
            shown.extend(guard.release(window.id, &[]));
        }
        prop_assert_eq!(text(&shown), stream);
    }
}
