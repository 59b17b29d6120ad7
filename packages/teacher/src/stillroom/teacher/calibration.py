"""What a calibration shows: a table of rates, the one that is chosen, and both in words.

It does not know how it was measured (see `calibrate`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from stillroom.teacher.agreement import Agreement, rows_needed
from stillroom.teacher.policies import PolicyFile
from stillroom.teacher.prices import PICO, dollars

Verdict = Literal["full", "safe", "harmful", "undecided", "not reached"]


@dataclass(frozen=True)
class Difference:
    """How correctness changes from the full prompt to a compressed one, on rows with a gold answer.

    Parameters
    ----------
    rows
        Rows with a gold answer that both prompts were asked.
    mean, low, high
        Of correct (compressed) − correct (full), row by row, with its 95 % interval: below 0 is a loss.
    lost, won
        Rows that are less, and more, correct than with the full prompt: McNemar's discordant pairs.
    """

    rows: int
    mean: float
    low: float
    high: float
    lost: int
    won: int


@dataclass(frozen=True)
class Variant:
    """What the pilot says of a rate.

    Parameters
    ----------
    rate
        1 is the full prompt.
    agreement
        With the full prompt, by measure; empty for the full prompt itself.
    excluded
        Rows of the pilot that say nothing: a call failed, was not made, or neither prompt got a valid answer.
    unanswered
        Rows that one of the two prompts got no answer of the right form for; they count as disagreement.
    usd_per_1000, prompt_tokens
        USD for 1,000 rows and prompt tokens a row, by the usage of the pilot's labels, the provider's cache included as
        it was billed; None where the API says nothing. Answers that were no labels are not in it.
    verdict
        "safe"; "harmful": even the upper bound is below 1 − tolerance; "undecided": neither is shown; "not reached": it
        would be safe, but a milder rate is not.
    rows_needed
        About how many rows would show it to be safe (with a chance of 0.8), if it agrees as in the pilot: for those
        "undecided" whose agreement is above 1 − tolerance.
    correctness
        Against the gold answers, if there are any.
    """

    rate: float
    agreement: Mapping[str, Agreement]
    excluded: int
    unanswered: int
    usd_per_1000: float | None
    prompt_tokens: float | None
    verdict: Verdict
    rows_needed: int | None = None
    correctness: Difference | None = None


@dataclass(frozen=True)
class Calibration:
    """What a pilot showed.

    Parameters
    ----------
    chosen
        The rate of the cheapest prompt that is safe; 1 if no compressed one is.
    sentence
        It all in a few sentences.
    table
        The full prompt, and each rate that was measured, the mildest first.
    measure, tolerance
        What decided.
    pilot, misfits
        Rows in the pilot; rows drawn that do not fit the prompt, and were left out of it.
    self_agreement
        Of two answers to the same full prompt: more cannot be asked of a compressed one. None if it was not measured.
    prompt_hash
        Of the prompt.
    spent_usd
        What this run cost.
    stopped
        Why it ended early; None if it did not.
    """

    chosen: float
    sentence: str
    table: tuple[Variant, ...]
    measure: str
    tolerance: float
    pilot: int
    misfits: int
    self_agreement: Agreement | None
    prompt_hash: str
    spent_usd: float
    stopped: str | None

    def policy(self, compressor: str) -> PolicyFile:
        """Return it as a policy, of the compressor of this name, for `stillroom teacher label --policy`."""
        found = {name: value for name, value in asdict(self).items() if name not in ("chosen", "prompt_hash")}
        return PolicyFile(rate=self.chosen, compressor=compressor, prompt_hash=self.prompt_hash, found=found)


def sentence(found: Calibration, missing: Sequence[float]) -> str:
    """Say it; `missing` are the rates that were not measured."""
    bar, full = 1 - found.tolerance, found.table[0]
    tried = {one.rate: one for one in found.table[1:]}
    said = []
    if found.chosen < 1:
        best = tried[found.chosen]
        shown = best.agreement[found.measure]
        cost = ""
        if best.usd_per_1000 is not None and full.usd_per_1000 is not None:
            cost = f"; 1,000 rows cost {_usd(best.usd_per_1000)} instead of {_usd(full.usd_per_1000)}"
        said.append(
            f"Rate {found.chosen:g} is safe: {_share(shown.mean)} of {shown.rows:,} rows agree with the full prompt, "
            f"and at least {_share(shown.low)} of all (95 % interval), where {_share(bar)} are asked for{cost}."
        )
    elif any(one.verdict == "safe" for one in found.table):
        said.append("Leave the prompt as it is: there are safe rates, but none is cheaper as this provider bills.")
    else:
        said.append(
            f"No rate is shown to be safe for a tolerance of {_share(found.tolerance)}, so the policy keeps the prompt "
            "as it is (rate 1)."
        )
    said += [_undecided(one, found) for one in tried.values() if one.verdict == "undecided"]
    harmful = [f"{one.rate:g}" for one in tried.values() if one.verdict == "harmful"]
    if harmful:
        said.append(f"Harmful: {', '.join(harmful)}.")
    after = [f"{one.rate:g}" for one in tried.values() if one.verdict == "not reached"]
    if after:
        said.append(f"Not counted, as a milder rate is not safe: {', '.join(after)}.")
    if missing:
        said.append(f"Not measured ({found.stopped}): {', '.join(f'{rate:g}' for rate in missing)}.")
    if found.self_agreement is not None:
        itself = found.self_agreement
        said.append(
            f"The full prompt agrees with itself on {_share(itself.mean)} of the rows ({_share(itself.low)} to "
            f"{_share(itself.high)}): no rate can be asked for more."
        )
        if itself.mean < bar:
            said.append("So this tolerance cannot be met: ask at temperature 0, or tolerate more.")
    return " ".join(said)


def _undecided(one: Variant, found: Calibration) -> str:
    """What is to be done about a rate that the pilot neither shows to be safe nor harmful."""
    shown, bar = one.agreement[found.measure], 1 - found.tolerance
    said = (
        f"Rate {one.rate:g} is undecided: {_share(shown.mean)} of {shown.rows:,} rows agree, which shows "
        f"{_share(shown.low)}, not {_share(bar)}"
    )
    if shown.rows < rows_needed(found.tolerance):
        said += "; so few rows cannot show it even when all agree"
    if one.rows_needed is None:
        return f"{said}."
    return f"{said}; about {one.rows_needed:,} rows could, if they agree as these do."


def _usd(amount: float) -> str:
    return dollars(round(amount * PICO))


def _share(share: float) -> str:
    return f"{100 * share:.4g} %"
