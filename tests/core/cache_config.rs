//! The configuration of caches.

/// The digest of the configuration of the model `a`.
fn configured(config: &serde_json::Value) -> [u8; 16] {
    let table = sluice::config::router(config.to_string().as_bytes(), &|_| None).unwrap();
    table.models().iter().find(|model| model.name == "a").unwrap().cache.as_ref().unwrap().digest
}

#[test]
fn the_configuration_of_a_model_is_that_of_all_that_may_serve_it() {
    let base = serde_json::json!({
        "upstreams": {"one": {}, "two": {}, "three": {}, "four": {}},
        "models": [
            {"name": "a", "targets": [{"upstream": "one"}], "cache": {}, "fallbacks": ["b"], "context_length_fallback": "c"},
            {"name": "b", "targets": [{"upstream": "two"}]},
            {"name": "c", "targets": [{"upstream": "three"}]},
            {"name": "d", "targets": [{"upstream": "four"}]},
        ],
    });
    for (pointer, value, changes) in [
        ("/models/0/targets/0/model", "x", true),
        ("/models/1/targets/0/model", "x", true),
        ("/models/2/targets/0/model", "x", true),
        ("/models/3/targets/0/model", "x", false),
        ("/upstreams/one/host", "x.example", true),
        ("/upstreams/two/host", "x.example", true),
        ("/upstreams/three/host", "x.example", true),
        ("/upstreams/four/host", "x.example", false),
        ("/response_model", "requested", true),
        ("/answer_headers", "never", false),
    ] {
        let mut changed = base.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[name] = value.into();
        assert_eq!(configured(&changed) != configured(&base), changes, "{pointer}");
    }
}

#[test]
fn the_memory_of_all_entries() {
    // on the filters' machine, sizes have 32 bits
    for (written, want) in
        [("1MiB", Some(1 << 20)), ("4MiB", Some(4 << 20)), ("3GiB", Some(3 << 30)), ("1KiB", None), ("4GiB", None)]
    {
        let config = serde_json::json!({
            "upstreams": {"one": {}},
            "models": [{"name": "a", "targets": [{"upstream": "one"}]}],
            "cache_memory": written,
        });
        let table = sluice::config::router(config.to_string().as_bytes(), &|_| None);
        assert_eq!(table.map(|table| table.cache_memory).ok(), want, "{written}");
    }
}
