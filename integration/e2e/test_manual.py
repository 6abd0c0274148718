"""The manual agrees with the code: names of fields, errors and metrics, links, and examples that parse."""

from __future__ import annotations

import functools
import itertools
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from child import ROOT, TOOL

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# An error's code is a lower-case name after one of these.
CODE = re.compile(r'(?:bad_request\(|code:|code =)\s*"([a-z]+(?:_[a-z]+)+)"')
# The lists of fields in the configuration's reader.
FIELDS = re.compile(r"(?:object\(&|FIELDS: [^=]*= |COMMON: [^=]*= )\[([^;]*?)\]", re.DOTALL)


def _sources(*patterns: str) -> str:
    return "\n".join(path.read_text() for pattern in patterns for path in sorted(ROOT.glob(pattern)) if "cli" not in path.relative_to(ROOT).parts)


def _manual() -> str:
    return "\n".join(page.read_text() for page in PAGES)


def test_every_error_is_explained() -> None:
    codes = set(CODE.findall(_sources("src/**/*.rs", "filters/src/**/*.rs")))
    assert len(codes) > 15
    assert [code for code in sorted(codes) if f"`{code}`" not in _manual()] == []


def test_every_field_is_explained() -> None:
    lists = FIELDS.findall(_sources("src/config/*.rs"))
    names = {name for found in lists for name in re.findall(r'"([a-z_]+)"', found)}
    assert len(names) > 40
    words = set(re.findall(r"[a-z_]+", _manual()))
    assert sorted(names - words) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        assert "://" in link or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_parse(page: Path) -> None:
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        if language == "yaml":
            list(yaml.safe_load_all(block.replace("# listeners.yaml\n", "---\n")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    """Each `sluice` command of a shell block has that name and these options; each `make` has a target."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        lines = [line.split(" #")[0].split(" -- ")[0] for line in block.replace("\\\n", " ").splitlines()]
        for line in lines:
            if found := re.match(r"make ((?:[a-z-]+ ?)*)", line):
                assert set(found[1].split()) <= targets, line
            for words in re.findall(r"(?:^|[\s/])sluice (?!sluice )([a-z].*)", line):
                subcommands = list(itertools.takewhile(lambda word: re.fullmatch("[a-z]+", word), words.split()))
                known = _help(tuple(subcommands[:2]))
                assert set(re.findall(r"(?:^|\s)(--[a-z-]+)", words.split("|")[0].split("&&")[0])) <= known, line


@functools.cache
def _help(words: tuple[str, ...]) -> set[str]:
    """The options of a subcommand. The last word may be its argument."""
    for subcommand in (words, words[:1]):
        shown = subprocess.run([TOOL, *subcommand, "--help"], capture_output=True, text=True, timeout=30)
        if shown.returncode == 0:
            return set(re.findall(r"--[a-z-]+", shown.stdout))
    raise AssertionError(f"sluice {' '.join(words)}: {shown.stderr}")
