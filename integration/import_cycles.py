"""Fails if files of a Rust crate import each other in a cycle: then no reading order exists.

It reads `use` declarations and paths by regular expressions, which is enough for code formatted by rustfmt. A name
that a module only re-exports (`pub use`) counts for the file that defines it.
"""

from __future__ import annotations

import re
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Module = tuple[str, ...]

COMMENTS = re.compile(r"//[^\n]*")
USES = re.compile(r"^[ \t]*(pub(?:\([^)]*\))? )?use ([^;]+);", re.MULTILINE)
PATHS = re.compile(r"\b((?:crate|super|self)(?:::\w+)+)")
VISIBILITY = re.compile(r"pub\(in [^)]*\)")


class Crate:
    """The files of a crate, without those of nested crates."""

    def __init__(self, root: Path):
        within = {manifest.parent for manifest in root.rglob("Cargo.toml")}
        self._texts: dict[Module, str] = {}
        for path in sorted(root.rglob("*.rs")):
            if not within & set(path.parents):
                parts = path.relative_to(root).with_suffix("").parts
                module = parts[:-1] if parts[-1] in ("mod", "lib", "main") else parts
                self._texts[module] = COMMENTS.sub("", path.read_text())
        # The names that a module re-exports, and their origins.
        self._exports: dict[Module, dict[str, list[str]]] = {module: {} for module in self._texts}
        for module, text in self._texts.items():
            for public, use in USES.findall(text):
                if public:
                    self._exports[module].update({path[-1]: path for path in _spread(use)})

    def graph(self) -> dict[Module, set[Module]]:
        """The modules that each file names."""
        return {module: self._imports(module) for module in self._texts}

    def _imports(self, module: Module) -> set[Module]:
        text = self._texts[module]
        paths = [path for public, use in USES.findall(text) if not public for path in _spread(use)]
        paths += [path.split("::") for path in PATHS.findall(VISIBILITY.sub("", USES.sub("", text)))]
        return {found for path in paths if (found := self._defining(module, path)) is not None} - {module}

    def _defining(self, module: Module, path: list[str], depth: int = 0) -> Module | None:
        """The file that defines the target of a path within `module`; None if it is not in this crate."""
        base, rest = module, path
        if rest[0] == "crate":
            base, rest = (), rest[1:]
        elif rest[0] not in ("self", "super") and (*module, rest[0]) not in self._texts:
            return None
        while rest and rest[0] in ("self", "super"):
            base, rest = (base[:-1] if rest[0] == "super" else base), rest[1:]
        while rest and (*base, rest[0]) in self._texts:
            base, rest = (*base, rest[0]), rest[1:]
        exported = self._exports[base].get(rest[0]) if rest and base in self._exports else None
        if exported and depth < 8:
            return self._defining(base, exported + rest[1:], depth + 1)
        return base if base in self._texts else None


def _spread(use: str) -> list[list[str]]:
    """`a::{b, c::d as e}` as the paths `a::b` and `a::c::d`."""
    use = re.sub(r" as \w+|\s+", "", use)
    start = use.find("{")
    if start < 0:
        return [use.split("::")]
    depth, item, items = 0, "", []
    for letter in use[start + 1 : use.rindex("}")] + ",":
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            items.append(item)
            item = ""
        else:
            item += letter
    return [path for item in items if item for path in _spread(use[:start] + item)]


def main() -> None:
    for root in sys.argv[1:]:
        try:
            TopologicalSorter(Crate(Path(root)).graph()).prepare()
        except CycleError as cycle:
            names = ["::".join(module) or "the crate's root" for module in reversed(cycle.args[1])]
            sys.exit(f"{root}: files that import each other: {' -> '.join(names)}")


if __name__ == "__main__":
    main()
