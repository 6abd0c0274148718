"""The gateway's charge for text without reported tokens: the rule of `src/usage/text_tokens.rs`, for prose."""

from __future__ import annotations

import re


def generated_tokens(*pieces: str) -> int:
    """The approximate tokens of texts that contain only letters, single spaces and single marks, and that came in one event each.
    """
    return (sum(map(_weight, filter(None, pieces))) + 8) // 16


def _weight(piece: str) -> int:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]", piece)
    marks = re.findall(r"[^\sA-Za-z]", piece)
    return max(16, sum(18 + 3 * max(0, len(word) - 6) for word in words) + 17 * len(marks))
