use sluice::known_models::{KnownModels, MAX_MODELS, MAX_MODELS_OF_KEY};

#[test]
fn a_name_that_only_failed_is_not_kept() {
    let mut names = KnownModels::default();
    for (key, name, answered, want) in [
        ("alice", "invented", false, false),
        ("alice", "real", true, true),
        ("alice", "real", false, true),
        ("bob", "real", false, true),
        ("bob", "invented", false, false),
    ] {
        assert_eq!(names.is_distinguished(key, name, answered), want, "{key} {name}");
    }
}

/// One key can only add a limited number of names, even if a server accepts any name.
#[test]
fn names_of_a_key_are_bounded() {
    let mut names = KnownModels::default();
    let told =
        (0..10_000).filter(|number| names.is_distinguished("greedy", &format!("invented-{number}"), true)).count();
    assert_eq!(told, MAX_MODELS_OF_KEY);
    for neighbour in 0..100 {
        assert!(names.is_distinguished(&format!("neighbour-{neighbour}"), "real", true));
    }
    assert!(names.is_distinguished("greedy", "invented-0", false), "those it has stay");
}

#[test]
fn names_of_all_keys_are_bounded() {
    let mut names = KnownModels::default();
    let keys = 2 * MAX_MODELS / MAX_MODELS_OF_KEY;
    let all = (0..keys).flat_map(|key| (0..MAX_MODELS_OF_KEY).map(move |name| (key, name)));
    let told =
        all.filter(|(key, name)| names.is_distinguished(&format!("key-{key}"), &format!("name-{name}"), true)).count();
    assert_eq!(told, MAX_MODELS);
}
