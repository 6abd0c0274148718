"""The messages of Envoy's rate limit and access log services, with the fields that the tests need. Made here, so that nothing has
to be generated: Google's protobuf package takes descriptions of messages as well."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

RATE_LIMIT = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
ACCESS_LOG = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
OK, OVER_LIMIT = 1, 2
MINUTE, DAY, MONTH = 2, 4, 5

_PACKAGE = "sluice"
_KINDS = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"string": _KINDS.TYPE_STRING, "bytes": _KINDS.TYPE_BYTES, "int32": _KINDS.TYPE_INT32}
_SCALARS |= {"int64": _KINDS.TYPE_INT64, "uint32": _KINDS.TYPE_UINT32, "uint64": _KINDS.TYPE_UINT64}

# Each field's number and type.
_MESSAGES = {
    # envoy.service.ratelimit.v3
    "RateLimitRequest": {"domain": (1, "string"), "descriptors": (2, "*Descriptor"), "hits_addend": (3, "uint32")},
    "Descriptor": {"entries": (1, "*Entry"), "limit": (2, "Limit"), "hits_addend": (3, "Number")},
    "Entry": {"key": (1, "string"), "value": (2, "string")},
    "Limit": {"requests_per_unit": (1, "uint32"), "unit": (2, "int32")},
    "Number": {"value": (1, "uint64")},
    "RateLimitResponse": {"overall_code": (1, "int32"), "statuses": (2, "*Status")},
    "Status": {
        "code": (1, "int32"),
        "current_limit": (2, "Limit"),
        "limit_remaining": (3, "uint32"),
        "duration_until_reset": (4, "Time"),
    },
    "Time": {"seconds": (1, "int64"), "nanos": (2, "int32")},
    # envoy.service.accesslog.v3; an entry is given as bytes, so that a million of them take little time
    "AccessLogs": {"http": (2, "HttpLogs")},
    "HttpLogs": {"entries": (1, "*bytes")},
    "HttpLog": {"common": (1, "Common"), "request": (3, "HttpRequest"), "response": (4, "HttpResponse")},
    "Common": {"start_time": (5, "Time"), "filter_state": (21, "*FilterState")},
    "FilterState": {"key": (1, "string"), "value": (2, "Any")},
    "Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "Text": {"value": (1, "bytes")},
    "HttpRequest": {"request_id": (9, "string")},
    "HttpResponse": {"code": (1, "Number")},
    "Nothing": {},
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="sluice.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label = _KINDS.LABEL_REPEATED if kind.startswith("*") else _KINDS.LABEL_OPTIONAL
            kind = kind.removeprefix("*")
            described = message.field.add(name=field, number=number, label=label, type=_SCALARS.get(kind, _KINDS.TYPE_MESSAGE))
            if kind not in _SCALARS:
                described.type_name = f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


_CLASSES = _classes()
RateLimitRequest, RateLimitResponse = _CLASSES["RateLimitRequest"], _CLASSES["RateLimitResponse"]
AccessLogs, HttpLog, Text, Nothing = (_CLASSES[name] for name in ("AccessLogs", "HttpLog", "Text", "Nothing"))
