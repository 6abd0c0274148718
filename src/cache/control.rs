//! The request's `cache-control`: what its client wants of a cache (RFC 9111, 5.2.1).

use std::time::Duration;

/// What a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// `no-cache`: a new answer, which replaces the kept one.
    pub no_cache: bool,
    /// `no-store`: neither a kept answer, nor that this one is kept.
    pub no_store: bool,
    /// `max-age`: no answer that is older.
    pub max_age: Option<Duration>,
}

impl CacheControl {
    /// Reads the header. What is not known changes nothing; a `max-age` that cannot be read wants a new answer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::cache::CacheControl;
    ///
    /// let wanted = CacheControl::read("max-age=60, No-Cache");
    /// assert!(wanted.no_cache && !wanted.no_store);
    /// assert_eq!(wanted.max_age, Some(Duration::from_secs(60)));
    /// ```
    pub fn read(header: &str) -> Self {
        let mut wanted = CacheControl::default();
        for directive in header.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("no-cache") {
                wanted.no_cache = true;
            } else if name.eq_ignore_ascii_case("no-store") {
                wanted.no_store = true;
            } else if name.eq_ignore_ascii_case("max-age") {
                let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                let seconds = if is_number { value.parse().unwrap_or(u64::MAX) } else { 0 };
                let age = Duration::from_secs(seconds);
                wanted.max_age = Some(wanted.max_age.map_or(age, |known| known.min(age)));
            }
        }
        wanted
    }

    /// Whether an answer of this age will do.
    pub fn accepts(&self, age: Duration) -> bool {
        !self.no_cache && !self.no_store && self.max_age.is_none_or(|most| age <= most)
    }
}
