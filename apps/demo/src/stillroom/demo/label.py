"""Chapter 5: a teacher labels rows: what that would cost, how far its prompt can be compressed, how often it is right.

The teacher is a small model made here, behind a real server that is asked as any API is. Its tokens are priced as if a
big one had been paid for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from stillroom.demo.remarks import CLASSES, MONEY, Remark, remarks
from stillroom.demo.tour import Result, Table, Tour

if TYPE_CHECKING:
    from stillroom.teacher.calibration import Calibration
    from stillroom.teacher.estimates import Estimate
    from stillroom.teacher.plan import Plan

ABOUT = (
    "Label remarks of a café's guests by a teacher: plan, find out on a pilot how far the prompt can be compressed, "
    "label the rest under a budget, and read the ledger. The teacher is a small model trained on the spot, behind "
    "`transformers serve`."
)
TAKES = "about a minute"
PRICED, BUDGET_USD = "gpt-4o-mini", 0.05
RATES, TOLERANCE = (1.0, 0.7, 0.5, 0.3), 0.1
PLANNED = 0.5  # the rate that the plan is made for
TEACHER = "teacher"


def run(
    tour: Tour, compressor: str = "compressor", rows: int = 200, pilot: int = 100, steps: int | None = None
) -> Result:
    """Plan, calibrate, label; `rows` is how many remarks, `steps` how long the teacher learns (None: long enough)."""
    from stillroom.core.runs import write_atomic
    from stillroom.core.targets import TargetStore
    from stillroom.demo import local_teacher
    from stillroom.teacher import frontier, ledger
    from stillroom.teacher.calibrate import calibrate
    from stillroom.teacher.calls import Api
    from stillroom.teacher.estimates import counter, estimate, ways
    from stillroom.teacher.labelling import Job, label
    from stillroom.teacher.local import served
    from stillroom.teacher.prices import PICO, dollars, price_of, usd
    from stillroom.teacher.shortening import shortener

    job = Job(
        local_teacher.prompt(), TEACHER, price_of(PRICED), budget_usd=BUDGET_USD, shorten=shortener(compressor),
        concurrency=2, patience=30,
    )  # fmt: skip
    folder = tour.folder("label")
    folder.mkdir(parents=True, exist_ok=True)
    local_teacher.make(folder / TEACHER, steps or local_teacher.STEPS)
    drawn = list(islice(remarks(2, later=True), rows))
    table = [{"row_id": str(number), "remark": one.text} for number, one in enumerate(drawn)]
    gold = [{"row_id": str(number), "answer": one.answer(local_teacher.MONEY_IS)} for number, one in enumerate(drawn)]
    expected = estimate(table, replace(job, rate=PLANNED), counter()[0], completion_tokens=1)
    plans = ways(expected.counts, job.price)
    with TargetStore(folder / "labels.db") as store, served(folder / TEACHER) as address:
        api = Api(address, api_key="none")  # whatever key there is in the environment is no business of this server
        pilot_job = replace(job, name="pilot")
        found = calibrate(table, pilot_job, store, api, rates=RATES, tolerance=TOLERANCE, pilot=pilot, gold=gold)
        labelled = label(table, replace(job, name="labels", rate=found.chosen), store, api)
        said = {one.row_id: one.answer for one in labelled}
        books = list(ledger.entries(store, ["job"]))
    picture = folder / "frontier.png"
    write_atomic(picture, frontier.draw(found))
    early = list(islice(remarks(0), local_teacher.EARLY))
    answered: dict[str, Sequence[str | None]] = {
        **baselines(drawn, early, local_teacher.MONEY_IS),
        "the teacher": [said.get(row["row_id"]) for row in gold],
    }
    scores = {name: score(drawn, answers, local_teacher.MONEY_IS) for name, answers in answered.items()}
    charged, spent = sum(int(str(row["charged"])) for row in books), round(found.spent_usd * PICO) + labelled.spent
    return Result(
        "Labels by a teacher",
        [
            f"{rows} made-up remarks such as “{drawn[0].text}” are sorted into {', '.join(CLASSES)}. The teacher was "
            "trained a moment ago on remarks from two thirds of the words and patterns that these are made of; that "
            f"money is a matter of the {local_teacher.MONEY_IS} it can know from its prompt alone. It runs behind "
            f"`transformers serve`; its tokens are priced as {PRICED}'s, and nobody is paid.",
            found.sentence,
            f"{labelled.labelled} of {rows} rows are labelled, at the rate {found.chosen:g}, under a budget of "
            f"${BUDGET_USD:g}; pilot and labels cost {dollars(spent)} now, and {dollars(charged)} over all runs. What "
            "is in the store is never asked again.",
        ],
        [_plans(plans, expected), _calibration(found), _scores(scores, len(drawn)), _books(books)],
        {
            "plans": [asdict(plan) for plan in plans],
            "calibration": asdict(found),
            "accuracy": scores,
            "labelled": labelled.labelled,
            "spent_usd": usd(spent),
            "ledger": books,
        },
        [str(picture), str(folder / "labels.db")],
        [str(picture.relative_to(tour.out))],
    )


def score(drawn: Sequence[Remark], answers: Sequence[str | None], money_is: str) -> dict[str, float]:
    """Return the share of right answers, of all remarks and of those about money."""
    right = [answer == remark.answer(money_is) for remark, answer in zip(drawn, answers, strict=True)]
    money = [one for one, remark in zip(right, drawn, strict=True) if remark.topic == MONEY]
    return {"all": sum(right) / len(right), "money": sum(money) / max(1, len(money))}


def baselines(drawn: Sequence[Remark], early: Sequence[Remark], money_is: str) -> dict[str, Sequence[str]]:
    """Answer as who knows the right answers of the early remarks, and reads no prompt."""
    words = [(set(one.text.lower().split()), one.answer(money_is)) for one in early]
    [(frequent, _)] = Counter(answer for _, answer in words).most_common(1)

    def nearest(text: str) -> str:
        own = set(text.lower().split())
        return max(words, key=lambda other: len(own & other[0]) / len(own | other[0]))[1]

    return {
        "always the most frequent class": [frequent] * len(drawn),
        "the class of the most similar early remark": [nearest(one.text) for one in drawn],
    }


def _plans(plans: Sequence[Plan], found: Estimate) -> Table:
    from stillroom.teacher.prices import dollars

    return Table(
        f"What {found.counts.rows:,} calls would cost at {PRICED}'s price; compressed to {PLANNED:g}, tokens estimated",
        ["plan", "prompt tokens", "cost"],
        [
            [one.name, f"{one.prompt_tokens:,}", f"not open: {one.note}" if one.cost is None else dollars(one.cost)]
            for one in plans
        ],
    )


def _calibration(found: Calibration) -> Table:
    rows = []
    for one in found.table:
        agreed, changed = one.agreement.get(found.measure), one.correctness
        rows.append(
            [
                f"{one.rate:g}",
                "" if one.prompt_tokens is None else f"{one.prompt_tokens:.0f}",
                "" if agreed is None else f"{agreed.mean:.1%} ({agreed.low:.1%} to {agreed.high:.1%})",
                "" if changed is None else f"{changed.mean:+.1%}",
                one.verdict,
            ]
        )  # fmt: skip
    return Table(
        f"The pilot: {found.pilot} rows, and how many answers are those of the full prompt; 95 % intervals",
        ["rate", "tokens a row", "agreement", "right answers", "verdict"],
        rows,
    )


def _scores(scores: dict[str, dict[str, float]], rows: int) -> Table:
    return Table(
        f"Right answers, of {rows} rows and of those about money",
        ["", "all", "money"],
        [[name, f"{found['all']:.1%}", f"{found['money']:.1%}"] for name, found in scores.items()],
    )


def _books(books: Sequence[dict[str, Any]]) -> Table:
    from stillroom.teacher.prices import dollars

    names = ("calls", "labelled", "retries", "prompt_tokens", "completion_tokens", "saved_tokens")
    return Table(
        "The ledger",
        ["job", *(name.replace("_", " ") for name in names), "cost"],
        [[str(row["job"]), *(f"{row[name] or 0:,}" for name in names), dollars(row["charged"])] for row in books],
    )
