"""The whole way, from a teacher behind an API to a student of one's own, on sentences with mistakes in four languages.

    python benchmarks/correction.py --out DIR [--rows 3000] [--exam 1000] [--seeds 0,1] [--steps 1500] [--real] [--json]

`transformers serve` runs the teacher mini; `stillroom.teacher` finds out on a pilot how far its prompt can be
compressed, and labels sentences that it has not met; the student mini learns from those labels alone, once a seed. A
third of the lemmas and patterns appear in the exam alone. The table has teacher, students, base and copy, by language,
and what share of the gap is closed: (student − max(base, copy)) / (teacher − max(base, copy)). A second, harder exam
has such lemmas and patterns only.
`--real` adds COWS-L2H and UA-GEC (below STILLROOM_DATA): the same teacher labels sentences of their training part, and
the same recipe makes a student of them. What was labelled is in DIR/labels.sqlite and is not asked again; a training
that was cut short goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from math import isnan
from pathlib import Path

from stillroom.core.targets import TargetStore
from stillroom.demo import student as chapter
from stillroom.language.answering import answer
from stillroom.language.corpora import named
from stillroom.language.distill import distill
from stillroom.language.duplicates import limited
from stillroom.language.grammar.generate import distinct
from stillroom.language.judging import table
from stillroom.language.recipe import DistillRecipe
from stillroom.language.report import closed
from stillroom.language.rows import Row, Source, read
from stillroom.language.sources import find
from stillroom.language.students import load
from stillroom.language.work import write_rows
from stillroom.teacher.calibrate import calibrate
from stillroom.teacher.calls import Api
from stillroom.teacher.labelling import Job, label
from stillroom.teacher.local import served
from stillroom.teacher.prices import price_of
from stillroom.teacher.prompt import Prompt
from stillroom.teacher.shortening import shortener

PILOT, TOLERANCE, RATES = 368, 0.01, (1.0, 0.7)
INSTRUCTIONS = "Correct the mistakes of the sentence. Change nothing else. Answer with the corrected sentence alone."


def prompt() -> Prompt:
    """What the teacher is asked: instructions, which compression may shorten, and examples, which it may not."""
    examples = [{"input": one.source, "output": one.target} for one in chapter.shown()]
    return Prompt.read(
        {
            "name": "correction",
            "instructions": INSTRUCTIONS,
            "examples": {"items": examples, "compress": "never"},
            "user": "{{ input }}",
            "max_tokens": 160,
        }
    )


def asked(sentences, store, api, job, name):
    """Label sentences; return the answers in their order."""
    rows = [{"row_id": f"{name}-{number}", "input": text} for number, text in enumerate(sentences)]
    labelled = label(rows, replace(job, name=name), store, api)
    said = {one.row_id: one.answer for one in labelled}
    return [said.get(row["row_id"]) for row in rows]


def journey(arguments) -> dict:
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    learned = distinct(arguments.rows, seed=chapter.LEARN_SEED)
    examined = distinct(arguments.exam, part="all", seed=chapter.EXAM_SEED)
    strange = distinct(max(1, arguments.exam // 2), part="test", seed=chapter.EXAM_SEED)
    real = {name: (limited(named(name, "train"), arguments.real), limited(named(name, "test"), arguments.real))
            for name in ("cows-l2h", "ua-gec")} if arguments.real else {}  # fmt: skip
    folder = Path(find(arguments.teacher))
    job = Job(
        prompt(), folder.name, price_of("gpt-4o-mini"), shorten=shortener("compressor"), concurrency=2, patience=600
    )  # fmt: skip
    with TargetStore(out / "labels.sqlite") as store, served(folder, log=out / "server.log") as address:
        api = Api(address, api_key="none")
        pilot = [{"row_id": str(number), "input": one.source} for number, one in enumerate(learned)]
        found = calibrate(pilot, job, store, api, rates=RATES, tolerance=TOLERANCE, pilot=PILOT)
        job = replace(job, rate=found.chosen)
        answers = {
            "labels": asked([one.source for one in learned], store, api, job, "labels"),
            "exam": asked([one.source for one in examined], store, api, job, "exam"),
            "strange": asked([one.source for one in strange], store, api, job, "strange"),
        }
        for name, (train, _) in real.items():
            answers[name] = asked([row.input for row in train], store, api, job, name)
    chapter.write(out / "labels.jsonl", learned, answers["labels"])
    chapter.write(out / "exam.jsonl", examined, answers["exam"], exam=True)
    chapter.write(out / "strange.jsonl", strange, answers["strange"], exam=True)
    hard = read(Source(path=str(out / "strange.jsonl"))).rows
    tables, closes = {}, {}
    for seed in arguments.seeds:
        made = chapter.recipe(
            arguments.student, out / "labels.jsonl", out / "exam.jsonl", steps=arguments.steps, seed=seed
        )
        done = distill(made, out / f"student-{seed}")
        scored = done.table.scored
        tables[f"sentences, seed {seed}"] = done.table
        floor = scored["base", "exact"], scored["copy", "exact"]
        closes[seed] = closed(scored["student", "exact"], scored["teacher", "exact"], *floor)
        said = {name: answer(one, hard, DistillRecipe.of(made).prompt).texts
                for name, one in (("student", done.student), ("base", load(arguments.student)))}  # fmt: skip
        tables[f"unknown words and patterns alone, seed {seed}"] = table(hard, said, made["metrics"])
    for name, (train, test) in real.items():
        said = [Row(row.input, answer, group=row.group) for row, answer in zip(train, answers[name], strict=True)]
        write_rows(out / f"{name}.jsonl", said)
        write_rows(out / f"{name}-exam.jsonl", test)
        made = chapter.recipe(
            arguments.student, out / f"{name}.jsonl", out / f"{name}-exam.jsonl", steps=arguments.steps,
            metrics=["edit_f05", "exact"], max_tokens=1024,
        )  # fmt: skip
        tables[name] = distill(made, out / f"student-{name}").table
    return {"calibration": found.sentence, "rate": found.chosen, "tables": tables, "closed": closes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--teacher", default=chapter.TEACHER)
    parser.add_argument("--student", default=chapter.STUDENT)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--exam", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0, 1])
    parser.add_argument("--real", type=int, nargs="?", const=1000, default=0, help="so many real sentences a set")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = journey(arguments)
    if arguments.json:
        print(json.dumps({**found, "tables": {name: one.rows() for name, one in found["tables"].items()},
                          "closed": {seed: vars(one) for seed, one in found["closed"].items()}}, indent=1))  # fmt: skip
        return
    print(found["calibration"])
    for name, one in found["tables"].items():
        print(f"\n{name}")
        print("\n".join(one.lines()))
    for seed, one in found["closed"].items():
        closed_share = "no gap to close: the teacher is no better than the copy" if isnan(one.value) else (
            f"{one.value:.1%} of the gap closed (95 % interval {one.low:.1%} to {one.high:.1%})"
        )  # fmt: skip
        print(f"\nseed {seed}: {closed_share}")


if __name__ == "__main__":
    main()
