//! The operators' page. It contains nothing secret: what it shows, it reads with the key that its user types in.

use crate::reply::CommandReply;

/// The page of `filters/page`, compressed by the build script.
const PAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page.html.gz"));

const HEADERS: &[(&str, &str)] = &[
    ("content-encoding", "gzip"),
    ("content-security-policy", include_str!(concat!(env!("OUT_DIR"), "/page_policy.txt"))),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// The page. Every browser takes it compressed, and whoever sends no `accept-encoding` does too (RFC 9110, 12.5.3).
pub fn page() -> CommandReply {
    CommandReply::html(PAGE).with(HEADERS)
}
