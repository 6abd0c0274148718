//! Header maps.

use super::handed::{received, OK};

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
}

/// A header map of the stream.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Headers {
    /// The request's.
    Request = 0,
    /// The response's.
    Response = 2,
    /// The response's trailers.
    ResponseTrailers = 3,
    /// The headers of a callout's answer.
    CallResponse = 6,
}

/// All headers, in one call.
pub fn headers(map: Headers) -> HeaderPairs {
    // SAFETY: the pointers are valid for the duration of the call.
    let data = received(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) });
    HeaderPairs(data.unwrap_or_default())
}

/// One header's value, if it exists and is text.
pub fn header(map: Headers, name: &str) -> Option<String> {
    // SAFETY: the pointers are valid for the duration of the call.
    let value = received(|data, size| unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
    })?;
    String::from_utf8(value).ok()
}

/// The status of the answer to a call, while Envoy hands it over; `None` without an answer, and if it is not a number.
pub fn call_status() -> Option<u16> {
    header(Headers::CallResponse, ":status")?.parse().ok()
}

/// Sets a header to one value. `false` if the host refused: then the message must not be sent.
pub fn set_header(map: Headers, name: &str, value: &str) -> bool {
    set_header_bytes(map, name, value.as_bytes())
}

/// The same with a value that need not be text.
pub fn set_header_bytes(map: Headers, name: &str, value: &[u8]) -> bool {
    // SAFETY: the pointers are valid for the duration of the call.
    unsafe { proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// Removes a header. `false` if the host refused: then the message must not be sent.
pub fn remove_header(map: Headers, name: &str) -> bool {
    // SAFETY: the pointers are valid for the duration of the call.
    unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) == OK }
}

/// Headers as the host serialises them: the count, the size of each name and value, then the names and values, each
/// followed by NUL (little endian, 32 bits).
pub struct HeaderPairs(Vec<u8>);

impl HeaderPairs {
    /// The names (in lower case) and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let sizes = self.0.get(4..).unwrap_or_default().chunks_exact(8);
        let count = self.0.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
        let mut rest = self.0.get(4 + count * 8..).unwrap_or_default();
        let mut take = move |size: &[u8; 4]| {
            let (bytes, after) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
            rest = after.get(1..)?;
            Some(bytes)
        };
        sizes.take(count).map_while(move |sizes| {
            let (name, value) = (sizes.first_chunk::<4>()?, sizes.last_chunk::<4>()?);
            Some((take(name)?, take(value)?))
        })
    }
}

/// A header's value as text; empty if it is not text.
pub fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap_or_default()
}

/// Headers as the host reads them.
pub(crate) fn serialize(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let word = |out: &mut Vec<u8>, number: usize| out.extend_from_slice(&(number as u32).to_le_bytes());
    word(&mut out, headers.len());
    for (name, value) in headers {
        word(&mut out, name.len());
        word(&mut out, value.len());
    }
    for (name, value) in headers {
        for text in [name, value] {
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        }
    }
    out
}
