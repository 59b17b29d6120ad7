"""What a compressor must beat: random, first words, stop-words then order, and IDF, on any set.

    python benchmarks/compression_baselines.py SET … [--language en] [--rate 0.5] [--model FOLDER] [--json]

SET is google_sentcomp, qmsum, … (its val; NAME/test for another split), a file of examples, or contexts with gold
answers in SQuAD's form. Each ranking keeps its best words, as many as the rate says; ties and what is left of a budget
go by position. An answer survives if all of its words are kept. Stop-words and IDF are counted from `text/clean` below
STILLROOM_DATA, in the language that the set or `--language` says.
"""

from __future__ import annotations

import argparse
import json

from stillroom.prompts.baselines import first, idf, random, without_stop_words
from stillroom.prompts.evaluate import by_model
from stillroom.prompts.report import beside, judged, measured

__all__ = ["first", "idf", "random", "without_stop_words"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", metavar="SET")
    parser.add_argument("--language")
    parser.add_argument("--rate", type=float, action="append")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {}
    for name in arguments.sets:
        texts = judged(name, arguments.limit)
        rankings = {model: _model(model) for model in arguments.model} | beside(texts, arguments.language)
        found[name] = measured(rankings, texts, arguments.rate or [0.5, 0.33])
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    for name, values in found.items():
        table = values.get("F1") or values["survival"]
        print(f"\n{name}: {values['texts']} texts, {values['words']} words; {'F1' if 'F1' in values else 'survival'}")
        print(f"{'':<26}" + "".join(f"{rate:>10}" for rate in next(iter(table.values()))))
        for ranking, row in table.items():
            print(f"{ranking:<26}" + "".join(f"{value:>10.3f}" for value in row.values()))


def _model(name: str):
    from stillroom.prompts.scorer import Scorer

    return by_model(Scorer.from_pretrained(name))


if __name__ == "__main__":
    main()
