"""Tables of measurements, printed at the end of a test run even if a test failed."""

from __future__ import annotations

from typing import Any, Iterable

import pytest

# The tables to print, in the process that has measured them.
SHOWN = pytest.StashKey[list[str]]()


class Table:
    """A table with named rows and columns."""

    def __init__(self, title: str, columns: Iterable[str]):
        self.title = title
        self.columns = list(columns)
        self._cells: dict[str, dict[str, str]] = {}

    def put(self, row: str, column: str, value: Any) -> None:
        """Sets a cell."""
        self._cells.setdefault(row, {})[column] = str(value)

    def lines(self) -> list[str]:
        """The table as text."""
        rows = [["", *self.columns]]
        rows += [[row, *(cells.get(column, "-") for column in self.columns)] for row, cells in self._cells.items()]
        widths = [max(map(len, column)) for column in zip(*rows)]
        padded = ([cell.ljust(width) for cell, width in zip(row, widths)] for row in rows)
        return [self.title, *("  ".join(row).rstrip() for row in padded)]

    def show(self, config: pytest.Config) -> None:
        """Prints the table when all tests are over."""
        config.stash.setdefault(SHOWN, []).append("\n".join(self.lines()))
