"""Numeric match: is the last number of an answer that of the reference? For maths, as in GSM8K and MGSM.

It reads numbers as languages write them, and knows neither units nor words for numbers; 50 % is 50.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from stillroom.core.errors import DataError
from stillroom.language.scored import Predictions, References, Scored, mean, several

_SPACES = " \u00a0\u2009\u202f"
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w)])[-−])?"
    rf"(?<![A-Za-z_\d])(?P<digits>\d+(?:[{_SPACES}'’.,٫٬]\d+)*|(?<!\.)\.\d+)"  # neither CO2 nor m2, but 答案是18
    r"(?P<exponent>[eE][+-]?\d{1,3}(?!\w))?"
)
_FRACTION = re.compile(r"(?P<sign>(?<![\w)])[-−])?(?<!\w)(?P<above>\d+) ?[/⁄] ?$")
_WAYS = [("", "."), (",", "."), ("", ","), (".", ","), ("'", "."), ("’", "."), ("'", ","), ("’", ","), ("٬", "٫"),
         ("", "٫"), *((space, point) for space in _SPACES for point in ".,٫")]  # fmt: skip
"""How thousands are parted and how decimals begin, English first."""


def _form(thousands: str, point: str) -> re.Pattern[str]:
    between = re.escape(thousands)
    whole = rf"\d{{1,3}}(?:{between}\d{{2,3}})*{between}\d{{3}}" if thousands else r"\d+"  # groups of two are India's
    return re.compile(rf"({whole})?(?:{re.escape(point)}(\d+))?")


_FORMS = [(thousands, _form(thousands, point)) for thousands, point in _WAYS]
_LONGEST = 200
"""Characters; a longer row of digits is no number that anyone meant."""


def match(predictions: Predictions, references: References, sources: Sequence[str] = ()) -> Scored:
    """Return the share of predictions whose number is that of a reference (see `numbers`).

    Numbers are equal in value, exactly: 42.0 is 42, and 0.33 is no third. A prediction that can be read in several ways
    is right if one of them is; a reference is read as English is written, which those of GSM8K and MGSM are.

    Raises
    ------
    DataError
        A reference without a number, or what `several` raises.
    """
    hits = []
    for row, (said, right) in enumerate(zip(predictions, several(predictions, references), strict=True)):
        wanted = {ways[0] for ways in map(_ways, right) if ways}
        if not wanted:
            raise DataError(f"the reference of row {row} has no number: choose another metric, or leave the row out")
        hits.append(said is not None and bool(wanted & numbers(said)))
    return mean(hits)


def numbers(text: str) -> frozenset[Fraction]:
    """Return the ways to read the number that a text ends in; none if it has no number.

    It is the first after `####`, as GSM8K marks it, or else the last of all. Thousands may be parted by commas, points,
    apostrophes or spaces, decimals by points or commas: `1.500` is 1500 and 1.5, `1,234.5` only 1234.5, `80 000` is
    80000 and 0. `3/4` is a fraction.
    """
    return frozenset(_ways(text))


def _ways(text: str) -> list[Fraction]:
    """Return the ways to read it, the English one first."""
    final = next(_NUMBER.finditer(text, text.find("####") + 4), None) if "####" in text else None
    for found in _NUMBER.finditer(text) if final is None else ():
        final = found
    if final is None or len(final.group()) > _LONGEST:
        return []
    sign = -1 if final["sign"] else 1
    over = _FRACTION.search(text, max(0, final.start() - _LONGEST), final.start())
    if over and final["digits"].isdecimal() and int(final["digits"]):
        return [(-1 if over["sign"] else 1) * Fraction(int(over["above"]), int(final["digits"]))]
    exponent = Fraction(10) ** int(final["exponent"][1:]) if final["exponent"] else 1
    digits = final["digits"]
    ways = [sign * value * exponent for value in _values(digits)]
    last = re.split(f"[{_SPACES}]", digits)[-1]
    if last != digits:  # in 5 100 and in 2023 100 the last number may stand alone
        ways += [value * exponent for value in _values(last)]
    return ways or [Fraction(re.split(r"\D", digits)[-1]) * exponent]  # of 1,2,3 the last


def _values(digits: str) -> list[Fraction]:
    values = []
    for thousands, form in _FORMS:
        if found := form.fullmatch(digits):
            whole, decimals = (found[1] or "0").replace(thousands, ""), found[2] or ""
            values.append(Fraction(int(whole + decimals), 10 ** len(decimals)))
    return values
