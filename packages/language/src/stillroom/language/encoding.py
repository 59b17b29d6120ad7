"""From rows to token ids: what is asked and what is answered, tokenized apart, and nothing ever cut silently.

The ids of a prompt are the same in training and in generation (`prompt_ids` makes both), and the answer begins at a
token of its own. It knows no network: causal models read prompt and answer as one, encoder-decoders apart, classifiers
the prompt alone.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from stillroom.core.errors import DataError, RecipeError
from stillroom.language.prompting import StudentPrompt, render
from stillroom.language.rows import Row

TooLong = Literal["skip", "error", "chunk"]
Kind = Literal["causal", "seq2seq", "classifier"]
TOGETHER = 1024  # texts a call of the tokenizer


@dataclass(frozen=True)
class Encoded:
    """A row as token ids.

    Parameters
    ----------
    prompt, answer
        Ids of what is asked, and of what is said, the end mark included; a class has no answer.
    row
        Its number among the rows that were encoded.
    task
        1 where the answer is a rationale, else 0.
    target
        For a classifier: the number of its class, or the probability of each.
    """

    prompt: Sequence[int]
    answer: Sequence[int]
    row: int
    task: int = 0
    target: int | tuple[float, ...] | None = None

    @property
    def input_ids(self) -> list[int]:
        """Prompt and answer as a causal model reads them."""
        return [*self.prompt, *self.answer]

    @property
    def answer_start(self) -> int:
        """Where the answer begins in `input_ids`."""
        return len(self.prompt)

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class LengthReport:
    """How long rows are, and what became of those that are too long.

    Attributes
    ----------
    rows, kept
        How many there were, and how many can be trained on.
    too_long
        Rows with more tokens than the model may read; skipped, or cut into `pieces`.
    pieces
        Into how many.
    longest
        Tokens of the longest row.
    limit
        Tokens that a row may have.
    tokens, answer_tokens
        Of all that is kept; answer tokens are those that are learned.
    """

    rows: int
    kept: int
    too_long: int
    pieces: int
    longest: int
    limit: int
    tokens: int
    answer_tokens: int

    def sentence(self) -> str:
        """Say it to people."""
        said = f"{self.kept:,} rows of {self.tokens:,} tokens, {self.answer_tokens:,} of them answers"
        if not self.too_long:
            return f"{said}; the longest has {self.longest:,} of at most {self.limit:,}"
        became = f"cut into {self.pieces:,} pieces" if self.pieces else "left out"
        return (
            f"{said}; {self.too_long:,} of {self.rows:,} rows have more than {self.limit:,} tokens "
            f"(the longest {self.longest:,}) and were {became}"
        )


def encode(
    rows: Sequence[Row],
    tokenizer: Any,
    prompt: StudentPrompt,
    max_tokens: int,
    too_long: TooLong = "skip",
    *,
    kind: Kind = "causal",
    classes: Sequence[str] | None = None,
    prompts: Mapping[str, StudentPrompt] | None = None,
) -> tuple[list[Encoded], LengthReport]:
    """Return rows as token ids, and how long they were.

    Answers end with the end mark of the tokenizer: that is how a student learns to stop. A row without an input is text
    for a causal model to read: there all of it is learned.

    Parameters
    ----------
    max_tokens
        Of prompt and answer together; for an encoder-decoder of each of them.
    too_long
        What to do with rows that have more: `skip` them, which the report says; raise an `error`; or `chunk` them,
        which only texts without an input can be, as half a question has no answer.
    kind
        What reads them.
    classes
        The answers that a classifier knows, in the order of its outputs; `soft_targets` of a row count before its
        answer.
    prompts
        Prompts of tasks that have their own, by name.

    Raises
    ------
    DataError
        A row is too long and that is an error, all are, a row has not what the prompt asks for, or no answer, or one
        that is none of the classes.
    RecipeError
        Rows to be chunked that have an input; classes without a classifier, or the other way round.
    """
    if (kind == "classifier") != (classes is not None):
        raise RecipeError("a classifier needs classes, and nothing else has them")
    encoded: list[Encoded] = []
    asked = prompt_ids(tokenizer, prompt, rows, kind=kind, prompts=prompts)
    said = [[]] * len(rows) if classes is not None else _answers(tokenizer, rows)
    longest, long_rows, pieces = 0, 0, 0
    for number, (row, before, answer) in enumerate(zip(rows, asked, said, strict=True)):
        target = None if classes is None else _target(row, number, classes)
        whole = _made(before, answer, number, int(row.reasons), target)
        size = max(len(before), len(answer)) if kind == "seq2seq" else len(whole)
        longest = max(longest, size)
        if size <= max_tokens:
            encoded.append(whole)
            continue
        long_rows += 1
        if too_long == "error":
            raise DataError(
                f"row {number} has {size:,} tokens, more than {max_tokens:,} ({_shown(row.input or row.answer)}): "
                "allow more tokens, or skip such rows"
            )
        if too_long == "chunk":
            parts = _chunks(before, answer, whole, row, max_tokens, kind)
            pieces += len(parts)
            encoded += parts
    if rows and not encoded:
        raise DataError(
            f"all {len(rows):,} rows have more than {max_tokens:,} tokens (the longest {longest:,}): allow more"
        )
    report = LengthReport(
        rows=len(rows),
        kept=len(encoded),
        too_long=long_rows,
        pieces=pieces,
        longest=longest,
        limit=max_tokens,
        tokens=sum(map(len, encoded)),
        answer_tokens=sum(len(one.answer) for one in encoded),
    )
    return encoded, report


def prompt_ids(
    tokenizer: Any,
    prompt: StudentPrompt,
    rows: Sequence[Row],
    *,
    kind: Kind = "causal",
    prompts: Mapping[str, StudentPrompt] | None = None,
) -> list[list[int]]:
    """Return the ids of what is asked, row by row: what a model is trained on and what it is to go on from.

    The special tokens around it are those that the tokenizer puts around a text; before an answer of a causal model
    only those in front. A chat template brings its own, and where a template spells the first of them out, it is not
    put there twice. A row without an input asks nothing: it has the tokens in front alone.
    """
    own = dict(prompts or {})
    used = [own.get(row.task, prompt) for row in rows]
    texts = [_text(one, tokenizer, row, number) for number, (one, row) in enumerate(zip(used, rows, strict=True))]
    before, after = _frame(tokenizer)
    spelt = tokenizer.bos_token
    found = []
    for one, text, ids in zip(used, texts, _plain_ids(tokenizer, texts), strict=True):
        if one.form == "chat" and text:
            found.append(ids)
            continue
        front = [] if spelt and text.startswith(spelt) else before
        found.append([*front, *ids, *([] if kind == "causal" else after)])
    return found


def matched(students: Sequence[Encoded], teachers: Sequence[Encoded]) -> tuple[list[Encoded], list[Encoded]]:
    """Return the rows that both can read, side by side, where a teacher reads another prompt than its student.

    Raises
    ------
    DataError
        They answer in other tokens, or there is no such row.
    """
    by_row = {one.row: one for one in teachers}
    pairs = [(one, by_row[one.row]) for one in students if one.row in by_row]
    if not pairs:
        raise DataError("no row is short enough for both the student and the teacher: allow more tokens")
    for student, teacher in pairs:
        if list(student.answer) != list(teacher.answer):
            raise DataError(f"student and teacher write the answer of row {student.row} in other tokens")
    return [student for student, _ in pairs], [teacher for _, teacher in pairs]


def _text(prompt: StudentPrompt, tokenizer: Any, row: Row, number: int) -> str:
    try:
        return render(prompt, tokenizer, row) if row.input else ""
    except DataError as error:
        raise DataError(f"row {number} ({_shown(row.input)}): {error}") from error


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the special tokens that the tokenizer puts before and after a text."""
    inner, whole = tokenizer("a", add_special_tokens=False).input_ids, tokenizer("a").input_ids
    for start in range(len(whole) - len(inner) + 1):
        if whole[start : start + len(inner)] == inner:
            return list(whole[:start]), list(whole[start + len(inner) :])
    raise DataError("this tokenizer changes a text when it puts special tokens around it: give it another form")


def _plain_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Tokenize without special tokens and without a limit."""
    found: list[list[int]] = []
    for start in range(0, len(texts), TOGETHER):
        few = list(texts[start : start + TOGETHER])
        found += tokenizer(few, add_special_tokens=False, truncation=False, verbose=False).input_ids
    return found


def _answers(tokenizer: Any, rows: Sequence[Row]) -> list[list[int]]:
    if tokenizer.eos_token_id is None:
        raise RecipeError("this tokenizer has no end mark (eos_token): a student could not learn where to stop")
    texts = []
    for number, row in enumerate(rows):
        if row.answer is None or not row.answer.strip():
            raise DataError(f"row {number} has no answer to learn ({_shown(row.input)}): leave it out")
        texts.append(row.answer)
    try:
        return [[*ids, tokenizer.eos_token_id] for ids in _plain_ids(tokenizer, texts)]
    except (UnicodeEncodeError, TypeError) as error:
        raise DataError("an answer holds half a character (a lone surrogate): leave the row out") from error


def _target(row: Row, number: int, classes: Sequence[str]) -> int | tuple[float, ...]:
    """Return the class of a row, or the probability of each."""
    named = row.soft_targets or {row.answer or "": 1.0}
    by_text = {_same(name): at for at, name in enumerate(classes)}
    strange = [name for name in named if _same(name) not in by_text]
    if strange:
        raise DataError(f"row {number} is {strange[0]!r}, which is none of the classes {', '.join(classes)}")
    if row.soft_targets is None:
        return by_text[_same(row.answer or "")]
    shares = [0.0] * len(classes)
    for name, share in row.soft_targets.items():
        shares[by_text[_same(name)]] += share
    return tuple(share / sum(shares) for share in shares)


def _same(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _chunks(
    before: Sequence[int], ids: Sequence[int], whole: Encoded, row: Row, max_tokens: int, kind: Kind
) -> list[Encoded]:
    """Cut a text for a causal model into pieces of equal length; the end mark stays with the last."""
    if row.input or kind != "causal":
        raise RecipeError(
            "only texts without an input can be cut into chunks, as half a question has no answer: skip rows that are "
            "too long, or allow more tokens"
        )
    room = max_tokens - len(before)
    if room < 2:
        raise RecipeError(f"{max_tokens} tokens have no room for a text: allow more")
    count = -(-len(ids) // room)
    edges = [len(ids) * part // count for part in range(count + 1)]
    return [_made(before, ids[begin:end], whole.row, whole.task, None) for begin, end in pairwise(edges)]


def _made(before: Sequence[int], answer: Sequence[int], row: int, task: int, target: Any) -> Encoded:
    """Nothing predicts the first token that is read, so it is none of those that are learned."""
    if not before:
        before, answer = answer[:1], answer[1:]
    return Encoded(array("i", before), array("i", answer), row, task, target)


def _shown(text: str | None, most: int = 40) -> str:
    text = " ".join((text or "").split())
    return text if len(text) <= most else f"{text[:most]}…"
