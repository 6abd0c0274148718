//! The messages of Envoy's services, with only the needed fields; unknown fields are skipped. Written by hand, so that
//! the build needs no protobuf compiler:
//! <https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/accesslog/v3/als.proto>,
//! <https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/ratelimit/v3/rls.proto>.

use std::collections::HashMap;

use prost::Message;

/// `envoy.service.accesslog.v3.StreamAccessLogsMessage`
#[derive(Clone, PartialEq, Message)]
pub struct AccessLogs {
    /// Finished requests.
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpLogs>,
}

/// `envoy.service.accesslog.v3.StreamAccessLogsMessage.HTTPAccessLogEntries`
#[derive(Clone, PartialEq, Message)]
pub struct HttpLogs {
    /// One entry for each request.
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<HttpLog>,
}

/// `envoy.data.accesslog.v3.HTTPAccessLogEntry`
#[derive(Clone, PartialEq, Message)]
pub struct HttpLog {
    /// Properties of any protocol.
    #[prost(message, optional, tag = "1")]
    pub common: Option<Common>,
    /// The request.
    #[prost(message, optional, tag = "3")]
    pub request: Option<HttpRequest>,
    /// The answer.
    #[prost(message, optional, tag = "4")]
    pub response: Option<HttpResponse>,
}

/// `envoy.data.accesslog.v3.AccessLogCommon`
#[derive(Clone, PartialEq, Message)]
pub struct Common {
    /// When the request began.
    #[prost(message, optional, tag = "5")]
    pub start_time: Option<Timestamp>,
    /// Filter state that filters have set, by name.
    #[prost(map = "string, message", tag = "21")]
    pub filter_state: HashMap<String, Any>,
}

/// `envoy.data.accesslog.v3.HTTPRequestProperties`
#[derive(Clone, PartialEq, Message)]
pub struct HttpRequest {
    /// `x-request-id`
    #[prost(string, tag = "9")]
    pub request_id: String,
}

/// `envoy.data.accesslog.v3.HTTPResponseProperties`
#[derive(Clone, PartialEq, Message)]
pub struct HttpResponse {
    /// The status; none if the client left before it.
    #[prost(message, optional, tag = "1")]
    pub code: Option<UInt32Value>,
}

/// `google.protobuf.Timestamp` and `Duration`
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Timestamp {
    /// Seconds since the epoch.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    /// The message's type.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.protobuf.BytesValue` and `StringValue`
#[derive(Clone, PartialEq, Message)]
pub struct BytesValue {
    /// The bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub value: Vec<u8>,
}

/// `google.protobuf.UInt32Value`
#[derive(Clone, Copy, PartialEq, Message)]
pub struct UInt32Value {
    /// The number.
    #[prost(uint32, tag = "1")]
    pub value: u32,
}

/// `google.protobuf.UInt64Value`
#[derive(Clone, Copy, PartialEq, Message)]
pub struct UInt64Value {
    /// The number.
    #[prost(uint64, tag = "1")]
    pub value: u64,
}

/// An empty message, such as `StreamAccessLogsResponse`.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Nothing {}

/// `envoy.service.ratelimit.v3.RateLimitRequest`
#[derive(Clone, PartialEq, Message)]
pub struct RateLimitRequest {
    /// The namespace.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// The limits in the question.
    #[prost(message, repeated, tag = "2")]
    pub descriptors: Vec<Descriptor>,
    /// The default number of hits; 0 means 1.
    #[prost(uint32, tag = "3")]
    pub hits_addend: u32,
}

/// `envoy.extensions.common.ratelimit.v3.RateLimitDescriptor`
#[derive(Clone, PartialEq, Message)]
pub struct Descriptor {
    /// The limited subject.
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<Entry>,
    /// The limit itself.
    #[prost(message, optional, tag = "2")]
    pub limit: Option<Limit>,
    /// The hits, which may be 0.
    #[prost(message, optional, tag = "3")]
    pub hits_addend: Option<UInt64Value>,
}

/// `envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.Entry`
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `RateLimitDescriptor.RateLimitOverride`, and `RateLimitResponse.RateLimit` without its name
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Limit {
    /// The number of hits.
    #[prost(uint32, tag = "1")]
    pub requests_per_unit: u32,
    /// The window: `envoy.type.v3.RateLimitUnit`.
    #[prost(int32, tag = "2")]
    pub unit: i32,
}

/// `envoy.service.ratelimit.v3.RateLimitResponse`
#[derive(Clone, PartialEq, Message)]
pub struct RateLimitResponse {
    /// [`OK`] or [`OVER_LIMIT`]
    #[prost(int32, tag = "1")]
    pub overall_code: i32,
    /// One for each limit in the question.
    #[prost(message, repeated, tag = "2")]
    pub statuses: Vec<DescriptorStatus>,
}

/// `RateLimitResponse.DescriptorStatus`
#[derive(Clone, PartialEq, Message)]
pub struct DescriptorStatus {
    /// [`OK`] or [`OVER_LIMIT`]
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The limit.
    #[prost(message, optional, tag = "2")]
    pub current_limit: Option<ResponseLimit>,
    /// The rest of it.
    #[prost(uint32, tag = "3")]
    pub limit_remaining: u32,
    /// The time until its window ends.
    #[prost(message, optional, tag = "4")]
    pub duration_until_reset: Option<Timestamp>,
}

/// `RateLimitResponse.RateLimit`
#[derive(Clone, Copy, PartialEq, Message)]
pub struct ResponseLimit {
    /// The number of hits.
    #[prost(uint32, tag = "1")]
    pub requests_per_unit: u32,
    /// The window: `RateLimitResponse.RateLimit.Unit`, which has the same numbers.
    #[prost(int32, tag = "2")]
    pub unit: i32,
}

/// The request passes.
pub const OK: i32 = 1;
/// A limit is reached.
pub const OVER_LIMIT: i32 = 2;
