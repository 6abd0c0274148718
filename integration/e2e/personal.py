"""Personal data in the formats that people use, generated from a seed, and texts in which it is hard to find."""

from __future__ import annotations

import json
import random
import string
from typing import Any, Callable

# A custom pattern whose values need escapes in JSON.
CUSTOM = {"name": "PROJECT", "regex": 'project "[a-z]{6}\\\\[a-z]{3}"'}
ENTITIES = "EMAIL_ADDRESS PHONE_NUMBER CREDIT_CARD IBAN_CODE IP_ADDRESS US_SSN API_KEY".split()
CHECK = {"name": "pii", "api": "patterns", "entities": ENTITIES, "custom": [CUSTOM]}
# Texts around it that look like placeholders, escapes, or the beginnings of these.
WORDS = 'é, "and"|<b>then</b>|a & b|1 < 2|&lt;|\\n\\t|日本語|🙂🙂|<EMAIL_|<|see <PHONE_NUMBER_x>|\n\n|</s>|x'.split("|")


def digits(rng: random.Random, count: int) -> str:
    """A number with this many digits."""
    return str(rng.randrange(10 ** (count - 1), 10**count))


def letters(rng: random.Random, count: int) -> str:
    """This many small letters."""
    return "".join(rng.choices(string.ascii_lowercase, k=count))


def email(rng: random.Random) -> str:
    """An address."""
    return f"{letters(rng, 6)}.{letters(rng, 4)}@{letters(rng, 5)}.com"


def ssn(rng: random.Random) -> str:
    """A social security number."""
    return f"{rng.randrange(100, 600)}-{rng.randrange(10, 99)}-{rng.randrange(1000, 9999)}"


def card(rng: random.Random) -> str:
    """A card's number with its check digit."""
    number = "4" + digits(rng, 14)
    doubled = [int(digit) * (2 - at % 2) for at, digit in enumerate(number)]
    return number + str(-sum(each - 9 * (each > 9) for each in doubled) % 10)


def iban(rng: random.Random) -> str:
    """An account's number with its check digits."""
    account = digits(rng, 18)
    return f"DE{98 - int(account + '131400') % 97:02}{account}"


MAKERS: list[Callable[[random.Random], str]] = [
    email,
    lambda rng: f"+49 30 {digits(rng, 8)}",
    card,
    iban,
    lambda rng: ".".join(str(rng.randrange(11, 240)) for _ in range(4)),
    ssn,
    lambda rng: "ghp_" + "".join(rng.sample(3 * (string.ascii_letters + string.digits), 36)),
    lambda rng: f'project "{letters(rng, 6)}\\{letters(rng, 3)}"',
]


class Personal:
    """Makes texts, names and numbers, each with a value to hide, and stores the values."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.values: list[str] = []

    def value(self, make: Callable[[random.Random], str] | None = None) -> str:
        """A value; sometimes an earlier one again."""
        if make is None and self.values and self.rng.random() < 0.1:
            return self.rng.choice(self.values)
        value = (make or self.rng.choice(MAKERS))(self.rng)
        self.values.append(value)
        return value

    def text(self) -> str:
        """A text with one value."""
        value = self.value()
        known = f"ssn {value}" if value[3:4] == "-" else value
        return f"{self.rng.choice(WORDS)} {known} {self.rng.choice(WORDS)}"

    def name(self) -> str:
        """A name with the letters that providers allow, except for the value."""
        return f"for-{self.value(ssn)}"

    def number(self) -> int:
        """A card number."""
        return int(self.value(card))

    def tree(self) -> dict[str, Any]:
        """JSON with values in every place, and nested JSON in its texts, two levels deep."""
        inner = json.dumps({"c": self.text(), self.text(): [self.number()]}, ensure_ascii=self.rng.random() < 0.5)
        middle = json.dumps({"again": inner, "b": self.text()}, ensure_ascii=self.rng.random() < 0.5)
        return {"a": self.text(), "b": {self.text(): [self.text(), 7, None]}, "n": self.number(), "deep": middle}
