//! Calls to gRPC services.

use std::time::Duration;

use super::handed::OK;
use super::headers::serialize;

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_grpc_call(
        cluster: *const u8,
        cluster_size: usize,
        service: *const u8,
        service_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        message: *const u8,
        message_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
}

/// Calls a unary method at a cluster that speaks HTTP/2. Returns the number of the call; `None` if Envoy cannot call.
pub fn grpc_call(cluster: &str, service: &str, method: &str, message: &[u8], timeout: Duration) -> Option<u32> {
    let metadata = serialize(&[]);
    let timeout = super::milliseconds(timeout);
    let mut token = 0;
    // SAFETY: the pointers are valid for the duration of the call.
    let status = unsafe {
        proxy_grpc_call(
            cluster.as_ptr(),
            cluster.len(),
            service.as_ptr(),
            service.len(),
            method.as_ptr(),
            method.len(),
            metadata.as_ptr(),
            metadata.len(),
            message.as_ptr(),
            message.len(),
            timeout,
            &mut token,
        )
    };
    (status == OK).then_some(token)
}
