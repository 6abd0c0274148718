//! The causes of failed connections, from what Envoy says of them.

use sluice::connect_failure::ConnectFailure::{self, Dns, NoCluster, Other, Refused, Timeout, Tls};

#[test]
fn causes() {
    let cases = [
        ("", "255.255.255.255:1", Dns),
        ("immediate connect error: Network is unreachable|remote address:255.255.255.255:1", "255.255.255.255:1", Dns),
        // a cluster's own address
        ("delayed connect error: Connection refused", "127.0.0.1:1", Refused),
        ("delayed connect error: 111", "[::1]:1", Other),
        ("delayed connect error: Connection refused", "127.0.0.1:11", Refused),
        ("immediate connect error: Connection refused", "[2001:db8::1]:443", Refused),
        ("delayed connect error: error:_111", "10.0.0.1:8000", Refused),
        (
            "TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end",
            "10.0.0.1:443",
            Tls,
        ),
        ("TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end", "10.0.0.1:80", Tls),
        ("TLS error: Secret is not supplied by SDS", "10.0.0.1:443", Tls),
        ("connection timeout", "10.0.0.1:443", Timeout),
        ("delayed connect error: Connection timed out", "10.0.0.1:443", Timeout),
        ("delayed connect error: No route to host", "10.0.0.1:443", Other),
        ("", "10.0.0.1:443", Other),
        ("", "", Other),
    ];
    for (reason, address, want) in cases {
        assert_eq!(ConnectFailure::of(reason.as_bytes(), address.as_bytes()), want, "{reason}, {address}");
    }
}

#[test]
fn what_operators_are_told() {
    let labels = ConnectFailure::ALL.map(ConnectFailure::label);
    assert_eq!(labels, ["dns", "refused", "tls", "timeout", "other", "no_cluster"]);
    let said = "TLS_error:|CERTIFICATE_VERIFY_FAILED";
    assert_eq!(Tls.explain(said), said);
    assert_eq!(Refused.explain(&"é".repeat(400)), "é".repeat(300));
    assert_eq!(Dns.explain("Connection refused"), "it has no host: its name does not resolve");
    assert!(NoCluster.explain("").contains("its line in `cluster_matcher` names another cluster"));
}
