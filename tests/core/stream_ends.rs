//! Which servers mark the end of their streams.

use sluice::codec::{Forgettable, SharedRecord};
use sluice::endpoint::Endpoint;
use sluice::stream_ends::{StreamEnds, MAX_CLUSTERS};

#[test]
fn each_cluster_and_endpoint_is_separate() {
    let mut ends = StreamEnds::default();
    assert!(ends.learn("a", Endpoint::ChatCompletions));
    assert!(ends.learn("a", Endpoint::Messages));
    assert!(ends.learn("b", Endpoint::OllamaChat));
    assert!(!ends.learn("b", Endpoint::OllamaChat));
    let ends = StreamEnds::decode(&ends.encode());
    let known = [("a", Endpoint::ChatCompletions), ("a", Endpoint::Messages), ("b", Endpoint::OllamaChat)];
    for cluster in ["a", "b", "c"] {
        for endpoint in [Endpoint::ChatCompletions, Endpoint::Completions, Endpoint::Messages, Endpoint::OllamaChat] {
            assert_eq!(ends.knows(cluster, endpoint), known.contains(&(cluster, endpoint)), "{cluster} {endpoint:?}");
        }
    }
}

#[test]
fn the_table_is_bounded() {
    let mut ends = StreamEnds::default();
    for cluster in 0..MAX_CLUSTERS {
        assert!(ends.learn(&format!("cluster-{cluster}"), Endpoint::Responses));
    }
    assert!(!ends.learn("one more", Endpoint::Responses) && !ends.knows("one more", Endpoint::Responses));
    assert!(ends.learn("cluster-7", Endpoint::Messages), "those that are known learn on");
    assert_eq!(StreamEnds::decode(&ends.encode()), ends);
}

#[test]
fn unreadable_bytes_are_an_empty_table() {
    for bytes in [&b""[..], b"short", b"ten bytes and"] {
        let ends = StreamEnds::decode(bytes);
        assert_eq!(StreamEnds::decode(&ends.encode()), ends, "{bytes:?}");
        assert!(!ends.knows("a", Endpoint::ChatCompletions));
    }
}
