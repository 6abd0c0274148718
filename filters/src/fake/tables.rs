//! The host's header maps and metrics.

use super::abi::{hand_over, text, BAD_ARGUMENT, INTERNAL_FAILURE, NOT_FOUND, OK};
use super::{host, HeaderList, Host};

fn serialize(headers: &HeaderList) -> Vec<u8> {
    let pairs: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    crate::host::serialize(&pairs)
}

fn header_map(host: &mut Host, map: u32) -> Option<&mut HeaderList> {
    match map {
        0 => host.stream().map(|stream| &mut stream.request),
        2 => host.context().map(|context| &mut context.response),
        6 => Some(&mut host.callout_answer.headers),
        _ => None,
    }
}

#[no_mangle]
unsafe extern "C" fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32 {
    match host(|host| header_map(host, map).map(|headers| serialize(headers))) {
        // SAFETY: see above.
        Some(headers) => unsafe { hand_over(&headers, data, size) },
        None => BAD_ARGUMENT,
    }
}

#[no_mangle]
unsafe extern "C" fn proxy_get_header_map_value(
    map: u32,
    name: *const u8,
    length: usize,
    value: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    // SAFETY: see above.
    let name = unsafe { text(name, length) };
    match host(|host| header_map(host, map).and_then(|headers| super::value(headers, &name).map(str::to_owned))) {
        // SAFETY: see above.
        Some(found) => unsafe { hand_over(found.as_bytes(), value, size) },
        None => NOT_FOUND,
    }
}

#[no_mangle]
unsafe extern "C" fn proxy_replace_header_map_value(
    map: u32,
    name: *const u8,
    length: usize,
    value: *const u8,
    size: usize,
) -> u32 {
    // SAFETY: see above.
    let (name, value) = unsafe { (text(name, length), text(value, size)) };
    host(|host| match (host.refuses.headers, header_map(host, map)) {
        (false, Some(headers)) => {
            headers.retain(|(other, _)| *other != name);
            headers.push((name, value));
            OK
        }
        _ => INTERNAL_FAILURE,
    })
}

#[no_mangle]
unsafe extern "C" fn proxy_remove_header_map_value(map: u32, name: *const u8, length: usize) -> u32 {
    // SAFETY: see above.
    let name = unsafe { text(name, length) };
    host(|host| match (host.refuses.headers, header_map(host, map)) {
        (false, Some(headers)) => {
            headers.retain(|(other, _)| *other != name);
            OK
        }
        _ => INTERNAL_FAILURE,
    })
}

#[no_mangle]
unsafe extern "C" fn proxy_define_metric(_: u32, name: *const u8, length: usize, id: *mut u32) -> u32 {
    // SAFETY: see above.
    let name = unsafe { text(name, length) };
    let number = host(|host| {
        let known = host.metrics.iter().position(|(other, _)| *other == name);
        known.unwrap_or_else(|| {
            host.metrics.push((name, 0));
            host.metrics.len() - 1
        })
    });
    // SAFETY: see above.
    unsafe { *id = number as u32 };
    OK
}

#[no_mangle]
extern "C" fn proxy_increment_metric(id: u32, offset: i64) -> u32 {
    host(|host| host.metrics[id as usize].1 += offset);
    OK
}

#[no_mangle]
extern "C" fn proxy_record_metric(id: u32, value: u64) -> u32 {
    host(|host| host.metrics[id as usize].1 = value as i64);
    OK
}

#[no_mangle]
unsafe extern "C" fn proxy_get_metric(id: u32, value: *mut u64) -> u32 {
    // SAFETY: see above.
    unsafe { *value = host(|host| host.metrics[id as usize].1 as u64) };
    OK
}
