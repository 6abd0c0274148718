"""Samples of everything that the providers' SDKs can send and read, generated from the SDKs' types. Each text has a unique value.
"""

from __future__ import annotations

import collections.abc
import enum
import inspect
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Iterator

import typing_extensions
from pydantic import BaseModel

_WRAPPERS = (typing.Annotated, typing.Required, typing.NotRequired, typing_extensions.Required, typing_extensions.NotRequired)
_LISTS = (list, tuple, set, collections.abc.Iterable, collections.abc.Sequence)
_MAPS = (dict, collections.abc.Mapping)


@dataclass
class Sampler:
    """Makes samples. `texts` maps each text's number to its path; `word` writes the text."""

    texts: list[tuple[str, ...]] = field(default_factory=list)
    # Fields whose values are words of an enumeration.
    words: set[tuple[str, ...]] = field(default_factory=set)

    def text(self, path: tuple[str, ...]) -> str:
        """A unique text."""
        self.texts.append(path)
        return f"p{len(self.texts) - 1}@example.com "

    def samples(self, kind: Any, path: tuple[str, ...] = (), above: tuple[Any, ...] = ()) -> list[Any]:
        """Values with every variant of a type; none for a type that contains itself."""
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if isinstance(kind, (typing.TypeAliasType if hasattr(typing, "TypeAliasType") else typing_extensions.TypeAliasType,)):
            return self.samples(kind.__value__, path, above)
        if origin in _WRAPPERS:
            return self.samples(arguments[0], path, above)
        if origin in (typing.Union, types.UnionType):
            return [sample for each in arguments for sample in self.samples(each, path, above)]
        if origin is typing.Literal:
            if any(isinstance(each, str) for each in arguments):
                self.words.add(path)
            return [arguments[0]]
        if origin in _LISTS:
            inside = self.samples(arguments[0], path, above)
            return [inside] if inside else []
        if origin in _MAPS:
            return [{"key": sample} for sample in self.samples(arguments[1], path, above)]
        if kind in (str, bytes):
            return [self.text(path)]
        if kind in (Any, object, dict):
            return [{"key": self.text(path)}]
        if kind is bool:
            return [False]
        if kind in (int, float):
            return [1]
        if inspect.isclass(kind) and issubclass(kind, enum.Enum):
            self.words.add(path)
            return [each.value for each in kind][:1]
        fields = dict(_fields(kind))
        if kind in above or not fields:
            return []
        return self._objects({name: self.samples(each, (*path, name), (*above, kind)) for name, each in fields.items()})

    def _objects(self, fields: dict[str, list[Any]]) -> list[Any]:
        """The first object has all fields. The others have only the fields with more variants, and those that mark their kind."""
        count = max([1, *(len(samples) for samples in fields.values())])
        tells = {name: samples[0] for name, samples in fields.items() if samples and name in ("type", "role")}
        objects = [{name: samples[at] for name, samples in fields.items() if at < len(samples)} for at in range(count)]
        return [{**tells, **each} for each in objects]


def _fields(kind: Any) -> Iterator[tuple[str, Any]]:
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        for name, info in kind.model_fields.items():
            yield info.alias or name, info.annotation
    elif typing.is_typeddict(kind) or typing_extensions.is_typeddict(kind):
        yield from typing_extensions.get_type_hints(kind, include_extras=True).items()
