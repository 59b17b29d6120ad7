"""How far a prompt can be compressed before the teacher answers differently: a pilot, and what it shows.

A random sample of the rows is labelled with the full prompt and with each compressed one. A rate is safe if the lower
bound of its agreement with the full prompt reaches 1 − tolerance. As usual for non-inferiority (ICH E9) it is that of a
two-sided 95 % interval: a rate that agrees less passes with a chance of 2.5 % at most. Rates are tried from the mildest
down, and after the first that is not safe none is: in such a fixed sequence each test may use the whole 2.5 %, and the
chance that any harmful rate passes is still no more (Maurer, Hothorn and Lehmacher 1995, "Multiple comparisons in drug
clinical trials and preclinical assays: a-priori ordered hypotheses"; Westfall and Krishen 2001, J. Stat. Plan.
Inference 99). That holds for a pilot whose size was fixed beforehand: enlarged until it passes, it passes too easily.

Agreement bounds the harm: with a yes-or-no measure, no share of right answers can change by more than the share of
answers that differ. It does not know whether the full prompt is any good; a gold set does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.labels import Label
from stillroom.core.targets import TargetStore
from stillroom.teacher.agreement import MEASURES, Agreement, compare, rows_needed
from stillroom.teacher.calibration import Calibration, Difference, Variant, Verdict, sentence
from stillroom.teacher.calls import Api
from stillroom.teacher.intervals import mean_interval
from stillroom.teacher.labelling import Job, Labelled, label
from stillroom.teacher.ledger import UNFIT
from stillroom.teacher.prices import Price, usd
from stillroom.teacher.rendering import Rendering
from stillroom.teacher.sampling import Sample

RATES = (0.7, 0.5, 0.33)
TOLERANCE = 0.02
PILOT = 300
"""A pilot of 300 rows shows an agreement of 0.98 if at most one row differs, and needs 183 if none does."""

Answers = Mapping[str, Label | None]
"""By place in the pilot: the label, None for answers of a wrong form, nothing where no answer came."""


def calibrate(
    rows: Iterable[Mapping[str, Any]],
    job: Job,
    store: TargetStore,
    api: Api,
    *,
    rates: Sequence[float] = RATES,
    tolerance: float = TOLERANCE,
    pilot: int = PILOT,
    measure: str = "exact",
    gold: Iterable[Mapping[str, Any]] | None = None,
    noise: bool | None = None,
    advance: Callable[[int], object] = lambda steps: None,
) -> Calibration:
    """Label a pilot at each rate, and say which are safe.

    Its answers are kept in the store under the addresses that a job of the same prompt, model and rate looks up, so
    they are not paid for again. In the ledger it is a job of its own ("…-pilot" unless `job` has a name), with
    `job.budget_usd` for a budget. When that is used up, rates that are not measured by then are not chosen.

    Parameters
    ----------
    rows
        All rows of the job, read once. The pilot is drawn by the hash of the columns that the prompt uses, so it does
        not depend on their order, and a larger pilot holds a smaller one. Rows that ask the same are one row.
    job
        What is asked, of whom; with a compressor. Its own `rate` and `samples` are not used.
    rates
        Shares of tokens to keep; 1 is always there.
    tolerance
        Share of answers that may differ from those to the full prompt.
    pilot
        Rows.
    measure
        What agreement is (see `agreement.MEASURES`). `exact`, and `fields` for JSON, are reported beside it.
    gold
        Rows with `row_id` and `answer`.
    noise
        Ask the full prompt twice. None: if the temperature is not 0.
    advance
        Called with the number of calls that are done.

    Raises
    ------
    RecipeError
        What is asked for cannot be meant, or the prompt has no part that leaves its rate to the job.
    DataError
        No row fits the prompt, none of the pilot is in the gold set, or none got an answer; or as `label` does.
    """
    ordered = _ordered(rates)
    _check(job, ordered, tolerance, pilot, measure)
    drawn, misfits = _pilot(rows, job, pilot)
    truth = None if gold is None else _gold(gold, drawn)
    measures = dict.fromkeys(["exact", measure] + ["fields"] * (job.prompt.output.json_schema is not None))
    noisy = job.prompt.temperature != 0 if noise is None else noise
    base = replace(job, name=job.name or f"{job.title}-pilot", rate=None, samples=2 if noisy else 1)

    found = label(drawn, base, store, api, advance=advance)
    spent, stopped = found.spent, found.stopped
    full, *again = _answers(found, store, base.samples)
    if not any(full.values()):
        reason = next((reason for _, reason in found.missing()), "")
        raise DataError(f"no row of the pilot got an answer to the full prompt, the first because: {reason}")
    itself = _compared(full, again[0], [measure]).get(measure) if again else None
    table = [Variant(1.0, {}, len(drawn) - len(full), 0, *_usage(full, job.price), "full")]
    reached = True
    for rate in ordered:
        if stopped:
            break
        found = label(drawn, replace(base, rate=rate, samples=1), store, api, advance=advance)
        spent, stopped = spent + found.spent, found.stopped
        (answers,) = _answers(found, store, 1)
        agreement = _compared(full, answers, measures)
        if agreement:
            decisive = agreement[measure]
            verdict, needed = _verdict(decisive, tolerance, reached)
            reached = verdict == "safe"
            unanswered = sum((full[place] is None) != (answers[place] is None) for place in full.keys() & answers)
            table.append(
                Variant(
                    rate, agreement, len(drawn) - decisive.rows, unanswered, *_usage(answers, job.price), verdict,
                    needed, None if truth is None else _difference(full, answers, truth, measure),
                )
            )  # fmt: skip
    best = min((one for one in table if one.verdict in ("full", "safe")), key=_price_order)
    made = Calibration(
        best.rate, "", tuple(table), measure, tolerance, len(drawn), misfits, itself, job.prompt.digest(),
        usd(spent), stopped,
    )  # fmt: skip
    return replace(made, sentence=sentence(made, [rate for rate in ordered if rate not in {v.rate for v in table}]))


def _ordered(rates: Iterable[float]) -> list[float]:
    """The rates below 1, the mildest first."""
    return sorted({float(rate) for rate in rates if rate != 1}, reverse=True)


def _check(job: Job, rates: Sequence[float], tolerance: float, pilot: int, measure: str) -> None:
    if not rates or not all(0 < rate < 1 for rate in rates):
        raise RecipeError("rates are shares of tokens to keep, between 0 and 1: give at least one below 1")
    rows_needed(tolerance)  # refuses one that no pilot can show
    if pilot < 1:
        raise RecipeError("a pilot has at least one row")
    if measure not in MEASURES:
        raise RecipeError(f"there is no measure {measure!r}: choose one of {', '.join(MEASURES)}")
    if job.prompt.rates(rates[0]) == job.prompt.rates():
        raise RecipeError(
            "no part of the prompt leaves its rate to the job: give it a system, instructions or examples, or say "
            "`compress: auto` there or for user"
        )
    if job.shorten is None:
        raise RecipeError("parts of the prompt are to be compressed: name a compressor")


def _pilot(rows: Iterable[Mapping[str, Any]], job: Job, size: int) -> tuple[list[Mapping[str, Any]], int]:
    """Draw the pilot, each row with a name; and count those drawn that do not fit the prompt."""
    rendering = Rendering(job.prompt)
    sample: Sample[Mapping[str, Any]] = Sample(size)
    for number, row in enumerate(rows):
        asked = json.dumps([row.get(name) for name in rendering.columns], default=str)
        named = row if any(row.get(name) is not None for name in ("row_id", "id")) else {**row, "row_id": number}
        sample.add(hashlib.sha256(asked.encode()).hexdigest(), named)
    fitting, reason = [], "there are none"
    for row in sample:
        try:
            rendering.request(row, job.model)
            fitting.append(row)
        except DataError as error:
            reason = str(error)
    if not fitting:
        raise DataError(f"no row can be put to the teacher: {reason}")
    return fitting, len(sample) - len(fitting)


def _gold(gold: Iterable[Mapping[str, Any]], drawn: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Gold answers by place in the pilot."""
    answers = {str(row.get("row_id")): row["answer"] for row in gold if row.get("answer") is not None}
    names = (str(row["row_id"] if row.get("row_id") is not None else row["id"]) for row in drawn)
    found = {str(place): str(answers[name]) for place, name in enumerate(names) if name in answers}
    if not found:
        raise DataError("no row of the pilot has a gold answer: calibrate on the rows of the gold set")
    return found


def _answers(found: Labelled, store: TargetStore, samples: int) -> list[dict[str, Label | None]]:
    """What came of a pilot's rows, by sample."""
    statement = (
        "SELECT DISTINCT key FROM teacher_calls JOIN teacher_jobs ON teacher_jobs.id = teacher_calls.job "
        "WHERE teacher_jobs.name = ? AND outcome = ?"
    )
    with store.transaction() as connection:
        unfit = {key for (key,) in connection.execute(statement, (found.job, UNFIT))}
    answers: list[dict[str, Label | None]] = [{} for _ in range(samples)]
    for place, ((key, _, _), (_, one, _)) in enumerate(zip(found.spool, found.outcomes(), strict=True)):
        if one is not None or key in unfit:
            answers[place % samples][str(place // samples)] = one
    return answers


def _texts(answers: Answers) -> dict[str, str | None]:
    return {place: None if one is None else one.answer for place, one in answers.items()}


def _compared(first: Answers, second: Answers, measures: Iterable[str]) -> dict[str, Agreement]:
    """Agreement by measure; empty if no row has two answers to compare."""
    a, b = _texts(first), _texts(second)
    if all(a[place] is None and b[place] is None for place in a.keys() & b.keys()):
        return {}
    return {measure: compare(a, b, measure) for measure in measures}


def _usage(answers: Answers, price: Price) -> tuple[float | None, float | None]:
    """USD for 1,000 rows, and prompt tokens a row."""
    used = [
        (one.prompt_tokens, one.completion_tokens, one.cached_tokens or 0)
        for one in answers.values()
        if one is not None and one.prompt_tokens is not None and one.completion_tokens is not None
    ]
    if not used:
        return None, None
    cost = sum(price.cost(*tokens) for tokens in used)
    return usd(round(1000 * cost / len(used))), sum(tokens[0] for tokens in used) / len(used)


def _price_order(variant: Variant) -> tuple[float, float, float]:
    """The cheapest first; of those that cost the same, or nothing, the shortest."""
    return (
        float("inf") if variant.usd_per_1000 is None else variant.usd_per_1000,
        float("inf") if variant.prompt_tokens is None else variant.prompt_tokens,
        variant.rate,
    )


def _verdict(agreement: Agreement, tolerance: float, reached: bool) -> tuple[Verdict, int | None]:
    """What an agreement shows, and how many rows would show it to be safe, if that can be."""
    bar = 1 - tolerance
    if agreement.low >= bar:
        return "safe" if reached else "not reached", None
    if agreement.high < bar:
        return "harmful", None
    try:
        return "undecided", rows_needed(tolerance, agreement.mean)
    except RecipeError:  # not above the bar, or by so little that a million rows do not show it
        return "undecided", None


def _difference(full: Answers, answers: Answers, truth: Mapping[str, str], measure: str) -> Difference | None:
    """Correctness against gold, row by row; no answer of the right form is a wrong one."""

    def right(one: Label | None, place: str) -> float:
        return 0.0 if one is None or one.answer is None else float(MEASURES[measure](one.answer, truth[place]))

    both = sorted(full.keys() & answers.keys() & truth.keys())
    if not both:
        return None
    changes = np.array([right(answers[place], place) - right(full[place], place) for place in both])
    mean, low, high = (2 * bound - 1 for bound in mean_interval(np.sort((changes + 1) / 2)))
    return Difference(len(both), mean, low, high, int((changes < 0).sum()), int((changes > 0).sum()))
