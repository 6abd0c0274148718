"""Each request's record goes to an OTLP collector over gRPC, as the manual configures it."""

from __future__ import annotations

import json
import re
from typing import Any, Callable

import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

import fleet
from child import ROOT
from conftest import OpenWorld
from grpc_server import GrpcServer
from settings import Settings
from world import eventually

EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
MANUAL = ROOT / "docs" / "fleet.md"


class Collector(GrpcServer):
    """An OTLP collector that keeps the bodies of log records."""

    def __init__(self) -> None:
        super().__init__(EXPORT, ExportLogsServiceRequest, ExportLogsServiceResponse)
        self.bodies: list[str] = []

    async def answer(self, question: Any) -> Any:
        scopes = (scope for resource in question.resource_logs for scope in resource.scope_logs)
        self.bodies += [record.body.string_value for scope in scopes for record in scope.log_records]
        return ExportLogsServiceResponse()


def test_records_reach_a_collector(open_world: OpenWorld, settings: Callable[[], Settings]) -> None:
    (block,) = [block for block in re.findall(r"```yaml\n(.*?)```", MANUAL.read_text(), re.S) if "OpenTelemetryAccessLogConfig" in block]
    with Collector() as collector:
        changed = fleet.add_service(settings(), collector.address, name="collector")
        changed.manager["access_log"] += yaml.safe_load(block)["access_log"]
        with open_world(changed.text()) as world:
            assert world.chat().status_code == 200
            eventually(lambda: len(collector.bodies), 1, 10)
            record = json.loads(collector.bodies[0])
            eventually(lambda: len(world.logged()), 1)
            (logged,) = world.logged()
            assert record == {name: logged[name] for name in ("start_time", "request_id", "status", "sluice")}
