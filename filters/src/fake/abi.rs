//! The functions that filters call: the host's side of the proxy-wasm ABI.

use std::slice;

use super::{host, Answer, Callout, HeaderList, Host};
use crate::exports::proxy_on_memory_allocate;

pub(super) const OK: u32 = 0;
pub(super) const NOT_FOUND: u32 = 1;
pub(super) const BAD_ARGUMENT: u32 = 2;
const CAS_MISMATCH: u32 = 8;
pub(super) const INTERNAL_FAILURE: u32 = 10;

unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    match size {
        0 => &[],
        // SAFETY: filters pass valid memory.
        _ => unsafe { slice::from_raw_parts(data, size) },
    }
}

pub(super) unsafe fn text(data: *const u8, size: usize) -> String {
    // SAFETY: see `bytes`.
    String::from_utf8_lossy(unsafe { bytes(data, size) }).into_owned()
}

/// Passes bytes to the filters as Envoy does: in memory that they allocate.
pub(super) unsafe fn hand_over(value: &[u8], data: *mut *mut u8, size: *mut usize) -> u32 {
    let memory = if value.is_empty() { std::ptr::null_mut() } else { proxy_on_memory_allocate(value.len()) };
    if memory.is_null() && !value.is_empty() {
        return INTERNAL_FAILURE;
    }
    // SAFETY: the memory has this size, and the caller's pointers are valid.
    unsafe {
        if !value.is_empty() {
            memory.copy_from_nonoverlapping(value.as_ptr(), value.len());
        }
        *data = memory;
        *size = value.len();
    }
    OK
}

fn parse(serialized: &[u8]) -> HeaderList {
    let word = |at: usize| u32::from_le_bytes(serialized[at..at + 4].try_into().unwrap()) as usize;
    let count = word(0);
    let mut at = 4 + count * 8;
    let mut take = |size: usize| {
        let taken = String::from_utf8_lossy(&serialized[at..at + size]).into_owned();
        at += size + 1;
        taken
    };
    (0..count).map(|index| (take(word(4 + index * 8)), take(word(8 + index * 8)))).collect()
}

fn property(host: &mut Host, path: &str) -> Option<Vec<u8>> {
    if path == "plugin_root_id" {
        return Some(host.root_id.clone().into_bytes());
    }
    let context = host.context()?;
    match path {
        "xds\0cluster_name" => context.cluster.clone().map(String::into_bytes),
        "upstream\0transport_failure_reason" => context.failure.clone().map(String::into_bytes),
        "source\0address" => Some(b"127.0.0.1:5000".to_vec()),
        "request\0protocol" => Some(b"HTTP/1.1".to_vec()),
        name => host.stream()?.filter_state.get(name).cloned(),
    }
}

fn buffer(host: &mut Host, buffer: u32) -> Option<&mut Vec<u8>> {
    match buffer {
        0 => host.context().map(|context| &mut context.request_body),
        1 => host.context().map(|context| &mut context.response_body),
        4 => Some(&mut host.callout_answer.body),
        7 => Some(&mut host.configuration),
        _ => None,
    }
}

#[no_mangle]
unsafe extern "C" fn proxy_get_property(path: *const u8, length: usize, data: *mut *mut u8, size: *mut usize) -> u32 {
    // SAFETY: the filters' pointers are valid, here and below.
    let path = unsafe { text(path, length) };
    match host(|host| if host.refuses.properties { None } else { property(host, &path) }) {
        // SAFETY: see above.
        Some(value) => unsafe { hand_over(&value, data, size) },
        None => NOT_FOUND,
    }
}

#[no_mangle]
unsafe extern "C" fn proxy_set_property(path: *const u8, length: usize, value: *const u8, size: usize) -> u32 {
    // SAFETY: see above.
    let (name, value) = unsafe { (text(path, length), bytes(value, size).to_vec()) };
    host(|host| match host.refuses.properties {
        true => INTERNAL_FAILURE,
        false => host.stream().map_or(BAD_ARGUMENT, |stream| {
            stream.filter_state.insert(name, value);
            OK
        }),
    })
}

#[no_mangle]
unsafe extern "C" fn proxy_get_buffer_bytes(
    which: u32,
    start: usize,
    max: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    let part = host(|host| {
        if host.refuses.bodies && which < 2 {
            return None;
        }
        let whole = buffer(host, which)?;
        let start = start.min(whole.len());
        Some(whole[start..start.saturating_add(max).min(whole.len())].to_vec())
    });
    match part {
        // SAFETY: see above.
        Some(part) => unsafe { hand_over(&part, data, size) },
        None => BAD_ARGUMENT,
    }
}

#[no_mangle]
unsafe extern "C" fn proxy_set_buffer_bytes(
    which: u32,
    start: usize,
    length: usize,
    data: *const u8,
    size: usize,
) -> u32 {
    // SAFETY: see above.
    let new = unsafe { bytes(data, size) };
    host(|host| {
        if host.refuses.bodies {
            return INTERNAL_FAILURE;
        }
        let Some(whole) = buffer(host, which) else {
            return BAD_ARGUMENT;
        };
        if start > 0 && start < whole.len() {
            return BAD_ARGUMENT; // Envoy only takes bytes at the start or the end
        }
        let start = start.min(whole.len());
        let end = start.saturating_add(length).min(whole.len());
        whole.splice(start..end, new.iter().copied());
        OK
    })
}

#[no_mangle]
unsafe extern "C" fn proxy_send_local_response(
    status: u32,
    _: *const u8,
    _: usize,
    body: *const u8,
    body_size: usize,
    headers: *const u8,
    headers_size: usize,
    _: i32,
) -> u32 {
    // SAFETY: see above.
    let (body, headers) = unsafe { (bytes(body, body_size).to_vec(), parse(bytes(headers, headers_size))) };
    host(|host| {
        let answer = Answer { status: status as u16, headers, body };
        host.context().map_or(BAD_ARGUMENT, |context| {
            context.reply = Some(answer);
            OK
        })
    })
}

#[no_mangle]
unsafe extern "C" fn proxy_get_shared_data(
    key: *const u8,
    length: usize,
    value: *mut *mut u8,
    size: *mut usize,
    version: *mut u32,
) -> u32 {
    // SAFETY: see above.
    let key = unsafe { text(key, length) };
    match host(|host| host.shared.get(&key).cloned()) {
        // SAFETY: see above.
        Some((bytes, number)) => unsafe {
            *version = number;
            hand_over(&bytes, value, size)
        },
        None => NOT_FOUND,
    }
}

#[no_mangle]
unsafe extern "C" fn proxy_set_shared_data(
    key: *const u8,
    length: usize,
    value: *const u8,
    size: usize,
    version: u32,
) -> u32 {
    // SAFETY: see above.
    let (key, value) = unsafe { (text(key, length), bytes(value, size).to_vec()) };
    host(|host| {
        let current = host.shared.get(&key).map(|(_, version)| *version);
        if host.refuses.shared || current.is_some_and(|current| version != 0 && version != current) {
            return CAS_MISMATCH;
        }
        host.shared.insert(key, (value, current.unwrap_or(0) + 1));
        OK
    })
}

#[no_mangle]
extern "C" fn proxy_set_effective_context(context: u32) -> u32 {
    host(|host| match host.contexts.contains_key(&context) {
        true => {
            host.effective = context;
            OK
        }
        false => BAD_ARGUMENT,
    })
}

#[no_mangle]
extern "C" fn proxy_continue_stream(stream: u32) -> u32 {
    host(|host| {
        host.context().map_or(BAD_ARGUMENT, |context| {
            match stream {
                0 => context.request_goes_on = true,
                _ => context.response_goes_on = true,
            }
            OK
        })
    })
}

#[no_mangle]
extern "C" fn proxy_set_tick_period_milliseconds(_: u32) -> u32 {
    OK
}

#[no_mangle]
unsafe extern "C" fn proxy_call_foreign_function(
    _: *const u8,
    _: usize,
    _: *const u8,
    _: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    // SAFETY: see above.
    unsafe { hand_over(&[], data, size) }
}

#[no_mangle]
unsafe extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32 {
    // SAFETY: see above.
    unsafe {
        *time = host(|host| {
            host.now += host.pace;
            host.now.as_nanos() as u64
        });
    }
    OK
}

#[no_mangle]
unsafe extern "C" fn proxy_log(_: u32, message: *const u8, size: usize) -> u32 {
    // SAFETY: see above.
    let line = unsafe { text(message, size) };
    host(|host| host.log.push(line));
    OK
}

#[no_mangle]
#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn proxy_http_call(
    cluster: *const u8,
    cluster_size: usize,
    headers: *const u8,
    headers_size: usize,
    body: *const u8,
    body_size: usize,
    _: *const u8,
    _: usize,
    _: u32,
    token: *mut u32,
) -> u32 {
    // SAFETY: see above.
    let (cluster, headers, body) =
        unsafe { (text(cluster, cluster_size), parse(bytes(headers, headers_size)), text(body, body_size)) };
    host(|host| {
        if host.service.as_deref() != Some(cluster.as_str()) {
            return BAD_ARGUMENT; // there is no such cluster
        }
        host.called += 1;
        // SAFETY: see above.
        unsafe { *token = host.called };
        host.callouts.push(Callout { token: host.called, context: host.effective, headers, body });
        OK
    })
}

#[no_mangle]
#[allow(clippy::too_many_arguments)]
extern "C" fn proxy_grpc_call(
    _: *const u8,
    _: usize,
    _: *const u8,
    _: usize,
    _: *const u8,
    _: usize,
    _: *const u8,
    _: usize,
    _: *const u8,
    _: usize,
    _: u32,
    _: *mut u32,
) -> u32 {
    BAD_ARGUMENT
}

#[no_mangle]
unsafe extern "C" fn random_get(data: *mut u8, size: usize) -> u32 {
    // SAFETY: see above.
    unsafe { slice::from_raw_parts_mut(data, size) }.fill(7);
    OK
}

#[no_mangle]
extern "C" fn __wasm_call_ctors() {}
