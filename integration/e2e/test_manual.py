"""The manual agrees with the code: names of fields, errors and metrics, links, and examples that parse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from child import ROOT

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
