//! What is revoked on all Envoys.

use sluice_ledger::RevokedId;

use super::Kept;

const NOW: i64 = 1_000;

fn revoked(at: i64, before: Option<i64>, until: Option<i64>) -> RevokedId {
    RevokedId { at: Some(at), before, until }
}

#[test]
fn they_are_told_in_their_order() {
    let mut kept = Kept::new("revocations");
    let revoke = |kept: &mut Kept, id: &str, revoked: RevokedId| {
        kept.store.revoke(id, &|known| revoked.after(known, NOW)).unwrap()
    };
    let first = revoke(&mut kept, "a", revoked(1, None, None));
    let second = revoke(&mut kept, "b", revoked(2, Some(9), None));
    assert_eq!(revoke(&mut kept, "b", revoked(2, Some(9), None)), second, "nothing new");
    let restored = kept.store.revoke("c", &|known| RevokedId::restored(known, 3)).unwrap();
    assert_eq!(restored, second, "it was not revoked");
    let last = kept.store.revoke("a", &|known| RevokedId::restored(known, 3)).unwrap();
    kept.again();
    let told = kept.store.revocations(first, 10).unwrap();
    let told: Vec<_> = told.iter().map(|change| (change.id.as_str(), change.value.as_deref())).collect();
    assert_eq!(told, [("b", Some(r#"{"at":2,"before":9,"until":null}"#)), ("a", None)]);
    assert_eq!(kept.store.revocations(first, 1).unwrap().len(), 1);
    assert_eq!(kept.store.revocations(last, 10).unwrap(), []);
    assert_eq!(kept.store.revoked().unwrap(), 2);
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let known = |revoked: RevokedId| revoked.after(None, NOW).unwrap();
    let cases = [
        (revoked(1, Some(5), Some(2_000)), revoked(2, Some(9), Some(3_000)), revoked(2, Some(9), Some(3_000))),
        (revoked(1, None, None), revoked(2, Some(9), Some(3_000)), revoked(2, None, None)),
        (revoked(1, Some(5), None), revoked(2, Some(9), Some(3_000)), revoked(2, Some(9), None)),
    ];
    for (one, other, both) in cases {
        assert_eq!(one.after(Some(&known(other)), NOW), other.after(Some(&known(one)), NOW));
        assert_eq!(RevokedId::of_json(&one.after(Some(&known(other)), NOW).unwrap()), Some(both));
    }
    let ended = known(revoked(1, None, Some(999)));
    let new = revoked(2, Some(9), None);
    assert_eq!(
        RevokedId::of_json(&new.after(Some(&ended), NOW).unwrap()),
        Some(new),
        "one that has ended does not count"
    );
    assert_eq!(RevokedId::restored(Some(&known(revoked(5, None, None))), 5), None);
    let later = known(revoked(6, None, None));
    assert_eq!(RevokedId::restored(Some(&later), 5), Some(later.clone()), "it was revoked after it was restored");
}

#[test]
fn what_has_ended_is_removed_but_for_the_last_change() {
    let mut kept = Kept::new("pruned");
    for (id, until) in [("ended", Some(5)), ("running", Some(5_000)), ("for ever", None), ("last", Some(6))] {
        kept.store.revoke(id, &|known| revoked(1, None, until).after(known, 0)).unwrap();
    }
    kept.store.prune_revoked(NOW).unwrap();
    let left: Vec<_> = kept.store.revocations(0, 10).unwrap().into_iter().map(|change| change.id).collect();
    assert_eq!(left, ["running", "for ever", "last"]);
}
