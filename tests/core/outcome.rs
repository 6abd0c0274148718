use sluice::outcome::Outcome;

#[test]
fn statuses() {
    use Outcome::{BadResponse, ClientError, Credential, RateLimited, ServerError, Success, TryAgain};
    let cases = [
        (Success, vec![200, 201, 204, 299]),
        (BadResponse, vec![0, 1, 100, 101, 199, 300, 301, 302, 304, 307, 399, 600, 999]),
        (ClientError, vec![400, 403, 404, 413, 422, 499]),
        (Credential, vec![401, 402]),
        (TryAgain, vec![408, 409, 425]),
        (RateLimited, vec![429]),
        (ServerError, vec![424, 500, 502, 503, 504, 529, 599]),
    ];
    for (want, statuses) in cases {
        for status in statuses {
            assert_eq!(Outcome::of_status(status), want, "{status}");
        }
    }
}

#[test]
fn missing_answers() {
    let cases = [
        ("no connection", false, false, Outcome::ConnectFailure),
        ("no connection, and too late", false, true, Outcome::ConnectFailure),
        ("too late", true, true, Outcome::Timeout),
        ("in time", true, false, Outcome::Reset),
    ];
    for (name, connected, late, want) in cases {
        assert_eq!(Outcome::of_silence(connected, late), want, "{name}");
    }
}

#[test]
fn labels_differ() {
    let mut labels = Outcome::ALL.map(Outcome::label).to_vec();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), Outcome::ALL.len());
}
