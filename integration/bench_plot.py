"""Draws the comparison with other gateways as a chart, with matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

# The text must be readable on light and dark pages.
_BACKGROUND = "#ffffff"
_OWN = "#1f6feb"
_OTHERS = ("#8b949e", "#c9a227", "#2da44e", "#bf3989", "#cf222e")


def draw(compared: Sequence[dict], works: Sequence[str], to: Path) -> None:
    """Draws each gateway's share of bare Envoy's requests per second, for each kind of work, as an SVG file.

    `compared`: the gateways as `bench_peers.compare` returns them; the first is bare Envoy.
    """
    import matplotlib

    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "sluice"
    from matplotlib import pyplot

    most = compared[0]["requests_per_second"]
    shown = [each for each in compared[1:] if each["requests_per_second"]]
    figure, axes = pyplot.subplots(figsize=(9, 0.7 + 0.32 * len(works) * max(len(shown), 1)), facecolor=_BACKGROUND)
    others = iter(_OTHERS)
    height = 0.8 / max(len(shown), 1)
    for row, each in enumerate(shown):
        color = _OWN if each["name"] == "Sluice" else next(others, _OTHERS[-1])
        shares = [each["requests_per_second"].get(work, 0) / most[work] if most.get(work) else 0 for work in works]
        places = [number + (row - (len(shown) - 1) / 2) * height for number in range(len(works))]
        bars = axes.barh(places, shares, height=height * 0.9, color=color, label=each["name"])
        axes.bar_label(bars, labels=[f"{share:.3f}" if share else "-" for share in shares], padding=3, fontsize=8)
    axes.set_yticks(range(len(works)), works)
    axes.invert_yaxis()
    axes.set_xlabel("requests per second, as a share of bare Envoy's on the same core")
    axes.set_xlim(0, 1.1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(to, format="svg", metadata={"Date": None})
