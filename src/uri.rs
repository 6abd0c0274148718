//! Reading and changing paths and their queries (RFC 3986).

use std::borrow::Cow;

use percent_encoding::{percent_decode_str, utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};

/// The path without its query.
pub fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// The byte that two hexadecimal digits stand for, as in an escape (`%2F`); `None` if they are not two digits.
pub(crate) fn hex_byte(digits: &[u8]) -> Option<u8> {
    let &[high, low] = digits else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// The path without the query parameters that may carry a key (Gemini's clients may send theirs as `?key=`), in any
/// spelling, because paths reach access logs and providers.
///
/// ```
/// use sluice::uri::without_keys;
///
/// assert_eq!(without_keys("/p?alt=sse&%6BEY=secret&api_key=secret"), "/p?alt=sse");
/// ```
pub fn without_keys(path: &str) -> Cow<'_, str> {
    let Some((bare, query)) = path.split_once('?') else {
        return Cow::Borrowed(path);
    };
    let carries_key = |parameter: &str| KEYS.iter().any(|key| is_named(parameter, key));
    match without(query, carries_key) {
        None => Cow::Borrowed(path),
        Some(kept) if kept.is_empty() => Cow::Owned(bare.to_owned()),
        Some(kept) => Cow::Owned(format!("{bare}?{kept}")),
    }
}

/// The key in a query, as Gemini's clients send it (`?key=`).
///
/// ```
/// use sluice::uri::query_key;
///
/// assert_eq!(query_key("/v1beta/models/m:generateContent?alt=sse&key=a%2Bb").as_deref(), Some("a+b"));
/// assert_eq!(query_key("/v1beta/models/m:generateContent?monkey=x"), None);
/// ```
pub fn query_key(path: &str) -> Option<Cow<'_, str>> {
    query_value(path, "key")
}

/// The first value of a query parameter, decoded.
pub fn query_value<'a>(path: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let (_, query) = path.split_once('?')?;
    query.split('&').find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix('=')).map(percent_decode)
}

/// A query in which this parameter has this value, and stands once.
///
/// ```
/// use sluice::uri::with_value;
///
/// assert_eq!(with_value("a=b&model=x&%6Dodel=y", "model", "z/1"), "a=b&model=z%2F1");
/// ```
pub fn with_value(query: &str, name: &str, value: &str) -> String {
    let is_it = |part: &&str| is_named(part, name);
    let others = query.split('&').filter(|part| !part.is_empty() && !is_it(part));
    let own = format!("{name}={}", percent_encode(value));
    others.map(str::to_owned).chain([own]).collect::<Vec<_>>().join("&")
}

/// Whether a query asks for a stream, as those for stored responses do.
///
/// ```
/// use sluice::uri::asks_for_stream;
///
/// assert!(asks_for_stream("/v1/responses/resp_1?include=a&stream=true"));
/// assert!(!asks_for_stream("/v1/responses/resp_1?stream=false"));
/// ```
pub fn asks_for_stream(path: &str) -> bool {
    path.split_once('?').is_some_and(|(_, query)| query.split('&').any(|parameter| parameter == "stream=true"))
}

/// Names of query parameters that carry a key or token, without `-` and `_`.
const KEYS: [&str; 8] =
    ["key", "apikey", "xapikey", "xgoogapikey", "accesstoken", "oauthtoken", "authorization", "subscriptionkey"];

/// Whether a query parameter has this name, ignoring `-` and `_`, escapes and letter case.
fn is_named(parameter: &str, name: &str) -> bool {
    let found = parameter.split_once('=').map_or(parameter, |(name, _)| name);
    let found = percent_decode(found);
    let letters = found.bytes().filter(|byte| !matches!(byte, b'-' | b'_' | b'+' | b' '));
    letters.map(|byte| byte.to_ascii_lowercase()).eq(name.bytes())
}

/// A query without the parameters that `is_out` finds; `None` if there are none.
fn without(query: &str, is_out: impl Fn(&str) -> bool) -> Option<String> {
    query.split('&').any(&is_out).then(|| query.split('&').filter(|part| !is_out(part)).collect::<Vec<_>>().join("&"))
}

/// A query with the operator's parameters first, and the client's parameters with other names.
///
/// ```
/// use sluice::uri::join_queries;
///
/// assert_eq!(join_queries("api-version=1", "a=b&API-Version=9"), "api-version=1&a=b");
/// ```
pub fn join_queries(operators: &str, clients: &str) -> String {
    let name = |part: &str| percent_decode(part.split_once('=').map_or(part, |(name, _)| name)).to_ascii_lowercase();
    let own: Vec<String> = operators.split('&').map(name).collect();
    let kept = clients.split('&').filter(|part| !part.is_empty() && !own.contains(&name(part)));
    Some(operators).into_iter().filter(|own| !own.is_empty()).chain(kept).collect::<Vec<_>>().join("&")
}

/// Whether a model's name would leave the path it is put into, at servers that decode escapes in it.
///
/// ```
/// use sluice::uri::climbs;
///
/// assert!(climbs("..") && climbs("m/../../admin") && climbs(r"m\..\x") && climbs("."));
/// assert!(!climbs("./llama.gguf") && !climbs("org/model..v2"));
/// ```
pub fn climbs(model: &str) -> bool {
    model == "." || model.split(['/', '\\']).any(|segment| segment == "..")
}

/// Decodes `%XX`; invalid escapes stay unchanged.
pub fn percent_decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Escapes a text for one path segment.
pub fn percent_encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, RESERVED).into()
}
