"""`make bench`: the cost of Sluice, as a ratio to the same Envoy without it, from one run.

The two gateways have the same listener, route and clusters. Each gets one core; `wrk` and the upstream get the other. Rounds
alternate and are compared in pairs, so that other load on the machine affects both gateways alike. The figures are medians.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Sequence

import bench_peers
import bench_plot
import cost
import demo
import instructions
import load
import translation_cost
from bench_config import BODY_BYTES, FILTERS, KIB, bare, body, configured, gateway, load_config, upstream, with_cache, with_filters, with_guard, with_keys
from child import ChildFailed
from envoy_binary import NoEnvoy
from gateway import Gateway
from python_env import InstallFailed

# The size of the requests that measure the guard's own patterns.
LONG_BODY = 32 * KIB
PATTERNS = {"name": "pii", "api": "patterns", "phase": ["request"], "action": "restore"}
# The number of starts of each gateway, to measure the time to start.
STARTS = 3
# If the gateway used less than this share of its core, it was waiting, and the figures say nothing about it.
BUSY = 0.95


class BenchFailed(Exception):
    """The benchmark cannot run, or it failed; the text says why."""


@dataclass
class Measured:
    """The measurements of all rounds for one gateway."""

    gateway: Gateway
    rates: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    p50s: list[float] = field(default_factory=list)
    # CPU time per request, and per request with a long body.
    cpu: list[float] = field(default_factory=list)
    long_cpu: list[float] = field(default_factory=list)

    def medians(self) -> dict[str, float]:
        """The reported figures."""
        return {
            "requests_per_second": round(statistics.median(self.rates)),
            "core_busy": round(statistics.median(self.busy), 3),
            "p50_us": statistics.median(self.p50s),
        }


def main() -> None:
    arguments = _arguments()
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        print("skipped: the benchmark needs Linux and two cores")
        return
    try:
        _require("valgrind" if arguments.instructions else "wrk")
        if arguments.instructions:
            _tell_cost(arguments)
            return
        result = measure(arguments)
    except (BenchFailed, ChildFailed, NoEnvoy, InstallFailed, instructions.NotCounted) as failure:
        sys.exit(f"error: {failure}")
    print(json.dumps(result, indent=2) if arguments.json else table(result))
    if arguments.plot:
        bench_plot.draw(result["peers"], [work.name for work in bench_peers.WORKS], arguments.plot)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare Envoy with Sluice to bare Envoy.")
    parser.add_argument("--rounds", type=int, default=6, help="rounds for each gateway")
    parser.add_argument("--seconds", type=int, default=5, help="length of a round")
    parser.add_argument("--connections", type=int, default=16, help="for requests/s; latency is always at one")
    parser.add_argument("--filters", type=_filters, default=set(FILTERS), metavar="auth,router,...", help="keep only these filters of envoy.yaml")
    parser.add_argument("--config", type=Path, default=demo.ENVOY_YAML, help="instead of envoy/envoy.yaml")
    parser.add_argument("--keys", type=int, default=0, metavar="N", help="also measure Sluice with N client keys, against the demo's two")
    parser.add_argument("--guard", action="store_true", help="also measure Sluice with a guard: one without checks, one that looks for patterns")
    parser.add_argument("--instructions", action="store_true", help="count instructions instead, which no other program disturbs; with valgrind")
    parser.add_argument("--accept", action="store_true", help="with --instructions: have later runs compared with what is counted now")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="also draw the comparison with the other gateways")
    return parser.parse_args()


def _filters(text: str) -> set[str]:
    names = set(filter(None, text.split(",")))
    if unknown := names - set(FILTERS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FILTERS)}")
    return names


def _require(program: str) -> None:
    """Installs the Debian package of that name, if apt-get is there."""
    if shutil.which(program):
        return
    if not shutil.which("apt-get"):
        raise BenchFailed(f"{program} is missing, and there is no apt-get to install it with: install {program}")
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    try:
        for action in (["update"], ["install", "-y", program]):
            subprocess.run([*as_root, "apt-get", *action], check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchFailed(f"{program} is missing and cannot be installed here: apt-get install {program}") from error


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Runs all rounds; returns the figures."""
    gateway_core, load_core = map(str, sorted(os.sched_getaffinity(0))[:2])
    pinned_gateway, pinned_load = (["taskset", "-c", core] for core in (gateway_core, load_core))
    with contextlib.ExitStack() as running:
        server = running.enter_context(upstream(pinned_load))
        config = load_config(arguments.config, server)
        bare_gateway = Measured(running.enter_context(gateway(bare(config), pinned_gateway)))
        sluice = Measured(running.enter_context(gateway(with_filters(config, arguments.filters), pinned_gateway)))
        contestants = [bare_gateway, sluice]
        if "router" in arguments.filters:
            hits = Measured(running.enter_context(gateway(with_cache(with_filters(config, arguments.filters)), pinned_gateway)))
            contestants.append(hits)
        guards = []
        if arguments.guard:
            for checks in ([], [PATTERNS]):
                checked = with_guard(with_filters(config, arguments.filters), checks)
                guards.append(Measured(running.enter_context(gateway(checked, pinned_gateway))))
            contestants += guards
        if arguments.keys:
            crowded = with_keys(with_filters(config, arguments.filters), arguments.keys)
            contestants.append(Measured(running.enter_context(gateway(crowded, pinned_gateway))))
        _run_rounds(contestants, arguments, pinned_load)
        gateways = {"bare Envoy": bare_gateway.gateway, "Sluice": sluice.gateway}
        compared = bench_peers.compare(gateways, bench_peers.peers(config, server, pinned_gateway), server, arguments, pinned_load)
        starts = _start_times(bare(config), with_filters(config, arguments.filters), pinned_gateway)
    ratios = _ratios(sluice, bare_gateway)
    added = [with_it - without for with_it, without in zip(sluice.p50s, bare_gateway.p50s)]
    many = {"many_keys": _many_keys(arguments.keys, contestants[-1], sluice)} if arguments.keys else {}
    guard = {"guard": _guard(bare_gateway, sluice, *guards)} if guards else {}
    cache = {"cache_hits": _cache(hits, sluice)} if "router" in arguments.filters else {}
    return {
        "bare": bare_gateway.medians(),
        "sluice": sluice.medians(),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_range": [round(ratios[0], 3), round(ratios[-1], 3)],
        "added_p50_us": statistics.median(added),
        "start_ms": starts,
        "connections": arguments.connections,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "filters": [name for name in FILTERS if name in arguments.filters & configured(config)],
        **many,
        **guard,
        **cache,
        "peers": compared,
    }


def _start_times(bare_config: dict, config: dict, prefix: list[str]) -> dict[str, float]:
    """The time that each Envoy needs to start in ms, including the compilation of the wasm: medians."""
    times: dict[str, list[float]] = {"bare": [], "sluice": []}
    for _ in range(STARTS):
        for name, each in (("bare", bare_config), ("sluice", config)):
            began = time.monotonic()
            with gateway(each, prefix):
                times[name].append((time.monotonic() - began) * 1000)
    return {name: round(statistics.median(each)) for name, each in times.items()}


def _tell_cost(arguments: argparse.Namespace) -> None:
    """Counts instructions and calls, and compares them with the accepted figures."""
    result = cost.measure(arguments.config, arguments.filters)
    translation = translation_cost.measure()
    if arguments.json:
        print(json.dumps({**result, "translation": translation}, indent=2))
    else:
        print(cost.table(result), translation_cost.table(translation), sep="\n")
    if arguments.accept:
        cost.accept(result)
    elif (arguments.config, arguments.filters) == (demo.ENVOY_YAML, set(FILTERS)) and (excess := cost.excess(result)):
        sys.exit("error: " + "; ".join(excess))


def _ratios(one: Measured, other: Measured) -> list[float]:
    """The ratios of two gateways' rates, round by round, in ascending order."""
    return sorted(mine / theirs for mine, theirs in zip(one.rates, other.rates))


def _many_keys(count: int, crowded: Measured, sluice: Measured) -> dict[str, object]:
    """The cost of many keys, and whether it exceeds the difference between Sluice's own rounds."""
    ratios = _ratios(crowded, sluice)
    return {
        "keys": count,
        **crowded.medians(),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_range": [round(ratios[0], 3), round(ratios[-1], 3)],
        "noise": round((max(sluice.rates) - min(sluice.rates)) / statistics.median(sluice.rates), 3),
    }


def _guard(bare_gateway: Measured, sluice: Measured, idle: Measured, patterns: Measured) -> dict[str, object]:
    """The cost of a guard without checks, and of patterns for each KiB, both in CPU time."""
    cost = [with_it - without for with_it, without in zip(patterns.long_cpu, sluice.long_cpu)]
    per_kib = statistics.median(cost) / (LONG_BODY / KIB)
    return {
        "idle_ratio": round(statistics.median(mine / theirs for mine, theirs in zip(idle.cpu, sluice.cpu)), 3),
        "noise": round((max(sluice.cpu) - min(sluice.cpu)) / statistics.median(sluice.cpu), 3),
        "patterns_us_per_kib": round(per_kib, 2),
        "patterns_per_kib_of_bare": round(per_kib / statistics.median(bare_gateway.cpu), 4),
    }


def _cache(hits: Measured, sluice: Measured) -> dict[str, object]:
    """Answers from the cache, compared with those of a model server that answers at once."""
    ratios = [hit / asked for hit, asked in zip(hits.p50s, sluice.p50s)]
    return {
        **hits.medians(),
        "p50_ratio": round(statistics.median(ratios), 3),
        "cpu_ratio": round(statistics.median(mine / theirs for mine, theirs in zip(hits.cpu, sluice.cpu)), 3),
    }


def _run_rounds(contestants: Sequence[Measured], arguments: argparse.Namespace, prefix: list[str]) -> None:
    """Throughput and latency in turns; the gateways take turns in going first."""
    order = list(contestants)
    for contestant in order:
        _load(contestant.gateway, arguments.connections, 1, prefix)  # warm-up
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        for contestant in order:
            result = _load(contestant.gateway, arguments.connections, arguments.seconds, prefix)
            contestant.rates.append(result["requests"] / result["microseconds"] * 1e6)
            contestant.busy.append(result["busy"])
            contestant.cpu.append(result["cpu"])
            if arguments.guard:
                contestant.long_cpu.append(_load(contestant.gateway, arguments.connections, arguments.seconds, prefix, LONG_BODY)["cpu"])
        for contestant in order:
            contestant.p50s.append(_load(contestant.gateway, 1, arguments.seconds, prefix)["p50"])
        order.reverse()


def _load(gateway: Gateway, connections: int, seconds: int, prefix: list[str], size: int = BODY_BYTES) -> dict[str, float]:
    """One run of wrk against a gateway."""
    url = f"http://127.0.0.1:{gateway.port}{demo.CHAT_PATH}"
    try:
        return load.run(url, gateway.child.pid, body(size), connections=connections, seconds=seconds, prefix=prefix)
    except load.LoadFailed as failure:
        status, answer = demo.chat(gateway.port)
        raise BenchFailed(f"{failure}; the demo's gets {status}: {answer.decode()}") from failure


def table(result: dict) -> str:
    """The figures as text."""
    without, with_sluice = result["bare"], result["sluice"]
    low, high = result["ratio_range"]
    lines = [
        f"{'':34}{'bare Envoy':>12}{'Sluice':>12}",
        f"requests/s, {result['connections']} connections".ljust(34)
        + f"{without['requests_per_second']:>12}{with_sluice['requests_per_second']:>12}   ratio {result['ratio']:.2f} ({low:.2f} to {high:.2f})",
        "p50 at 1 connection, us".ljust(34)
        + f"{without['p50_us']:>12.0f}{with_sluice['p50_us']:>12.0f}   added {result['added_p50_us']:.0f} us",
        "the gateway's core, busy".ljust(34) + f"{without['core_busy']:>12.0%}{with_sluice['core_busy']:>12.0%}",
        "start until ready, ms".ljust(34) + f"{result['start_ms']['bare']:>12}{result['start_ms']['sluice']:>12}",
        f"filters: {', '.join(result['filters']) or 'none'}",
    ]
    if many := result.get("many_keys"):
        low, high = many["ratio_range"]
        lines.append(
            f"{many['keys']:,} client keys: {many['requests_per_second']} requests/s, ratio to two keys {many['ratio']:.3f}"
            f" ({low:.3f} to {high:.3f}); Sluice's own rounds differ by {many['noise']:.1%}"
        )
    if hits := result.get("cache_hits"):
        lines.append(
            f"answers from the cache: p50 {hits['p50_us']:.0f} us, {hits['p50_ratio']:.2f} of Sluice's time with a server that answers"
            f" at once; CPU time {hits['cpu_ratio']:.2f}"
        )
    if guard := result.get("guard"):
        lines.append(
            f"guard without checks: {guard['idle_ratio']:.3f} of Sluice's CPU time (its own rounds differ by {guard['noise']:.1%});"
            f" patterns: {guard['patterns_us_per_kib']:.2f} us for each KiB, {guard['patterns_per_kib_of_bare']:.2%} of a request to bare Envoy"
        )
    lines += bench_peers.lines(result["peers"])
    if idle := [name for name in ("bare", "sluice") if result[name]["core_busy"] < BUSY]:
        lines.append(f"not limited by the gateway ({', '.join(idle)}): wrk, the upstream or other programs took the time")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
