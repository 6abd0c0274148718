//! Texts rewritten as several checks say.

use proptest::prelude::*;
use sluice::guard::checks::{Marked, Rewriting};
use sluice::guard::pii::{merge, Vault};
use sluice::guard::rewriting::{replacements, rewrite};
use sluice::guard::Finding;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn marked(span: std::ops::Range<usize>, rewriting: Rewriting) -> Marked {
    Marked { finding: Finding { entity: "X".into(), span, score: 1.0 }, rewriting }
}

#[test]
fn what_one_check_masks_does_not_come_back() {
    let text = "abcdefghij";
    let marks = [marked(0..2, Rewriting::Restore), marked(4..8, Rewriting::Restore), marked(6..9, Rewriting::Mask)];
    assert_eq!(rewrite(text, &marks, &mut Vault::default()).unwrap(), "<X_1>cd<X>ij");
}

/// A client chooses how much there is.
#[test]
fn many_marks_take_no_longer_each() {
    let text = "a@b.cc ".repeat(100_000);
    for rewriting in [Rewriting::Mask, Rewriting::Restore] {
        let marks: Vec<Marked> = (0..100_000).map(|at| marked(at * 7..at * 7 + 6, rewriting)).collect();
        assert_eq!(replacements(&text, &marks, &mut Vault::default()).unwrap().len(), 100_000);
    }
}

proptest! {
    #[test]
    fn a_mask_outranks_whatever_it_overlaps(
        marks in prop::collection::vec((0..40_usize, 1..8_usize, any::<bool>()), 0..20),
    ) {
        let rewriting = |masks: bool| if masks { Rewriting::Mask } else { Rewriting::Restore };
        let marks: Vec<Marked> =
            marks.into_iter().map(|(start, length, masks)| marked(start..start + length, rewriting(masks))).collect();
        let text = "x".repeat(48);
        let findings: Vec<Finding> = marks.iter().map(|marked| marked.finding.clone()).collect();
        let want: Vec<_> = merge(findings, Vec::new())
            .into_iter()
            .map(|found| {
                let overlaps = |other: &&Marked| {
                    let span = &other.finding.span;
                    span.start < found.span.end && found.span.start < span.end
                };
                let masks = marks.iter().filter(overlaps).any(|other| other.rewriting == Rewriting::Mask);
                (found.span, masks)
            })
            .collect();
        let got = replacements(&text, &marks, &mut Vault::default()).unwrap();
        let got: Vec<_> = got.into_iter().map(|(span, written)| (span, written == "<X>")).collect();
        prop_assert_eq!(got, want);
    }
}
