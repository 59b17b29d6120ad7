from __future__ import annotations

import doctest
import gzip
import re
from dataclasses import dataclass
from itertools import islice
from random import Random
from string import ascii_lowercase

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stillroom.core.batches import Batches, BatchStream
from stillroom.core.errors import DataError, MissingError
from stillroom.core.objectives import IGNORED_LABEL
from stillroom.language import documents as module
from stillroom.language.documents import LINES, Corpus, Documents, Written, chat_ids, document, read
from stillroom.language.grammar.generate import pair
from stillroom.language.scratch import Shape, vocabulary

PAIRS = [
    ("they writes a letter.", "they write a letter."),
    ("he go home.", "he goes home."),
    ("we met on Monday", "we met on Monday."),
    ("she sings.", "she sings."),
    ("I see cat.", "I see a cat."),
    ("Élise mangent", "Élise mange."),
]


@dataclass(frozen=True)
class Listed:
    """Sentences out of a list."""

    pairs: list[tuple[str, str]]

    def draw(self, random: Random) -> tuple[str, str]:
        return random.choice(self.pairs)


@pytest.fixture(scope="module")
def tokenizer():
    return vocabulary([text for both in PAIRS for text in both] * 3, Shape(vocab_size=300))


def stream(tokenizer, lessons, corpora=((Listed(PAIRS), 1.0),), rows=4, tokens=160, seed=0) -> Documents:
    return Documents(tokenizer, list(corpora), lessons, rows=rows, tokens=tokens, seed=seed)


def told(tokenizer, documents, count=5) -> list[str]:
    """Whole documents of the first batches as text, marks and all; the cut one at the end of each row is left out."""
    rows = [row for index in range(count) for row in documents[index]["input_ids"]]
    return [text for row in rows for text in tokenizer.decode(row).split("<|end|>")[:-1]]


def turns(tokenizer, documents, count=5) -> list[tuple[str, str]]:
    """What users say and what is answered, of the first batches."""
    text = "".join(tokenizer.decode(row) + "\n" for index in range(count) for row in documents[index]["input_ids"])
    return re.findall(r"<\|user\|>(.*?)<\|end\|><\|assistant\|>(.*?)<\|end\|>", text)


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_examples_in_the_docstrings_hold():
    assert not doctest.testmod(module).failed


ALL = {"plain": 1.0, "doubled": 1.0, "correct": 2.0, "repeat": 1.0}


def test_a_batch_depends_on_its_number_and_the_seed_alone(tokenizer):
    one, other = stream(tokenizer, ALL), stream(tokenizer, ALL)
    backwards = {index: other[index] for index in (7, 3, 0)}
    assert all(same(one[index], backwards[index]) for index in (0, 3, 7))
    assert same(one[3], one[3])
    assert not torch.equal(one[0]["input_ids"], one[1]["input_ids"])
    assert not torch.equal(one[0]["input_ids"], stream(tokenizer, ALL, seed=1)[0]["input_ids"])


def test_global_random_numbers_neither_matter_nor_move(tokenizer):
    import random

    random.seed(1)
    state = random.getstate()
    first = stream(tokenizer, ALL)[2]
    assert random.getstate() == state
    random.seed(2)
    assert same(stream(tokenizer, ALL)[2], first)


def test_the_trainers_stream_gives_the_same_batches_wherever_it_starts(tokenizer):
    documents = stream(tokenizer, ALL)
    assert isinstance(documents, Batches)
    resumed = list(islice(BatchStream(documents, batch_size=4, start=5), 2))
    assert all(same(batch, documents[5 + place]) for place, batch in enumerate(resumed))


def test_batches_are_rows_of_tokens_without_padding(tokenizer):
    batch = stream(tokenizer, ALL, rows=3, tokens=77)[0]
    assert {name: (tuple(t.shape), t.dtype) for name, t in batch.items()} == {
        "input_ids": ((3, 77), torch.int64),
        "labels": ((3, 77), torch.int64),
    }
    assert not (batch["input_ids"] == tokenizer.pad_token_id).any()


@pytest.mark.parametrize("lesson", ["plain", "doubled"])
def test_of_plain_and_doubled_documents_everything_is_learned(tokenizer, lesson):
    batch = stream(tokenizer, {lesson: 1.0})[0]
    assert torch.equal(batch["labels"], batch["input_ids"])


def test_plain_documents_are_right_lines(tokenizer):
    found = [text.split("\n") for text in told(tokenizer, stream(tokenizer, {"plain": 1.0}))]
    assert {line for lines in found for line in lines} == {right for _, right in PAIRS}
    assert {len(lines) for lines in found} == set(range(LINES["plain"][0], LINES["plain"][1] + 1))


def test_in_doubled_documents_each_line_stands_twice(tokenizer):
    found = [text.split("\n") for text in told(tokenizer, stream(tokenizer, {"doubled": 1.0}))]
    assert all(lines[::2] == lines[1::2] for lines in found)
    assert {len(lines) // 2 for lines in found} == set(range(LINES["doubled"][0], LINES["doubled"][1] + 1))


def test_in_chats_the_answers_alone_are_learned_with_their_end_mark(tokenizer):
    assistant, end = tokenizer.convert_tokens_to_ids(["<|assistant|>", "<|end|>"])
    for index in range(5):
        batch = stream(tokenizer, {"repeat": 1.0})[index]
        for ids, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
            answering = False
            for token, label in zip(ids, labels, strict=True):
                assert label == (token if answering else IGNORED_LABEL)
                answering = token == assistant or (answering and token != end)


def test_the_first_correction_of_a_chat_is_not_learned_as_nothing_before_it_asks_for_one(tokenizer):
    learned = [whether for _, whether in document(tokenizer, "correct", PAIRS[:3])]
    assert learned == [False, False, False, True, False, True]
    assert [whether for _, whether in document(tokenizer, "correct", PAIRS[:2], "Hello.")][1:] == learned[:4]
    assert [whether for _, whether in document(tokenizer, "repeat", PAIRS[:2])] == [False, True, False, True]


def test_sentences_are_answered_with_their_corrections(tokenizer):
    found = turns(tokenizer, stream(tokenizer, {"correct": 1.0}))
    assert set(found) == set(PAIRS)


def test_sentences_are_answered_with_themselves_where_they_are_repeated(tokenizer):
    found = turns(tokenizer, stream(tokenizer, {"repeat": 1.0}))
    assert set(found) == {(source, source) for source, _ in PAIRS}


def test_some_chats_begin_with_right_sentences_of_the_system(tokenizer):
    documents = stream(tokenizer, {"repeat": 1.0}, tokens=400)
    rows = [tokenizer.decode(row) for index in range(20) for row in documents[index]["input_ids"]]
    systems = re.findall(r"<\|system\|>(.*?)<\|end\|>", "\n".join(rows))
    right = [right for _, right in PAIRS]
    assert systems
    assert set(systems) <= {*right, *(f"{one} {other}" for one in right for other in right)}
    chats = len(systems) / (0.3 * sum(row.count("<|user|>") for row in rows) / 1.5)
    assert 0.7 < chats < 1.3
    assert not re.search(r"<\|user\|>[^<]*<\|end\|><\|system\|>", "\n".join(rows))


def test_lessons_and_corpora_have_their_shares(tokenizer):
    others = [(f"x {right}", f"x {right}") for _, right in PAIRS]
    lessons = {"plain": 3.0, "doubled": 1.0}
    documents = stream(tokenizer, lessons, [(Listed(PAIRS), 1.0), (Listed(others), 4.0)], tokens=600)
    found = [text.split("\n") for text in told(tokenizer, documents, count=30)]
    lines = [line for text in found for line in text]
    assert 0.7 < sum(line.startswith("x ") for line in lines) / len(lines) < 0.9
    twice = [text for text in found if text[::2] == text[1::2]]
    assert 0.15 < len(twice) / len(found) < 0.4  # a cut row is missing its last document, most often a long one


@pytest.mark.parametrize("system", [None, "she sings."])
@pytest.mark.parametrize("lesson", ["correct", "repeat"])
def test_a_chat_has_the_ids_of_the_chat_template(tokenizer, lesson, system):
    ids = [token for piece, _ in document(tokenizer, lesson, PAIRS, system) for token in piece]
    spoken = [] if system is None else [{"role": "system", "content": system}]
    for source, right in PAIRS:
        spoken.append({"role": "user", "content": source})
        spoken.append({"role": "assistant", "content": right if lesson == "correct" else source})
    assert ids == tokenizer.apply_chat_template(spoken, return_dict=False)


@settings(deadline=None)
@given(source=st.text(st.characters(exclude_categories=["Cs"])), said=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_turn_and_its_answer_are_what_the_chat_template_makes_of_both(tokenizer, source, said):
    spoken = [{"role": "user", "content": source}, {"role": "assistant", "content": said}]
    ids = [*chat_ids(tokenizer, source), *tokenizer(said).input_ids, tokenizer.eos_token_id]
    assert ids == tokenizer.apply_chat_template(spoken, return_dict=False)


# Where sentences come from


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "lines.txt"
    lines = [f"Line {number} is here." for number in range(3000)]
    path.write_text("\n".join(["", *lines, "  ", *lines[:50], *(f" {line.upper()} " for line in lines)]) + "\n")
    return path


def test_held_out_lines_are_never_among_those_that_are_learned(text):
    learned, held_out = read(Corpus(text=str(text)))
    assert len(learned.lines) + len(held_out.lines) == 6000
    assert not {line.lower() for line in learned.lines} & {line.lower() for line in held_out.lines}
    assert 0.005 < len(held_out.lines) / 6000 < 0.02


def test_no_batch_to_learn_from_has_a_line_that_is_held_out(text, tokenizer):
    learned, held_out = read(Corpus(text=str(text)))
    found = told(tokenizer, stream(tokenizer, {"plain": 1.0}, [(learned, 1.0)], rows=8, tokens=400), count=20)
    lines = {line for text in found for line in text.split("\n")}
    assert len(lines) > 500
    assert lines <= set(learned.lines)
    assert lines.isdisjoint(held_out.lines)


def test_lines_are_stripped_and_each_is_there_once(text):
    learned, held_out = read(Corpus(text=str(text)))
    lines = [*learned.lines, *held_out.lines]
    assert set(lines) == {line.strip() for line in text.read_text().splitlines()} - {""}
    assert len(set(lines)) == len(lines)


def test_what_is_held_out_does_not_depend_on_the_rest_of_the_text(text, tmp_path):
    part = tmp_path / "part.txt"
    lines = text.read_text().splitlines()
    part.write_text("\n".join(lines[2000:1000:-1]))
    whole, of_part = read(Corpus(text=str(text)))[1].lines, read(Corpus(text=str(part)))[1].lines
    assert set(of_part) == {line.strip() for line in lines[1001:2001]} & set(whole)


def test_a_compressed_text_and_a_variable_in_its_path_are_read(text, tmp_path, monkeypatch):
    monkeypatch.setenv("LINES_OF_A_TEST", str(tmp_path))
    with gzip.open(tmp_path / "lines.txt.gz", "wt", encoding="utf-8") as file:
        file.write(text.read_text())
    assert read(Corpus(text="$LINES_OF_A_TEST/lines.txt.gz"))[0].lines == read(Corpus(text=str(text)))[0].lines


def test_the_noise_of_a_text_is_made_of_what_is_learned_alone(tmp_path):
    path = tmp_path / "lines.txt"
    words = [f"words{one}{other}" for one in ascii_lowercase for other in ascii_lowercase]
    path.write_text("\n".join(f"{word} looks like {word}" for word in words))
    learned, held_out = read(Corpus(text=str(path)))
    assert held_out.noise is learned.noise
    assert set(learned.noise.forms) == {line.split()[0].lower() for line in learned.lines}


def test_written_sentences_are_lines_that_were_spoilt(text):
    learned, _ = read(Corpus(text=str(text), language="en"))
    assert isinstance(learned, Written)
    drawn = [learned.draw(Random(number)) for number in range(300)]
    assert {right for _, right in drawn} <= set(learned.lines)
    assert 0.02 < sum(source == right for source, right in drawn) / 300 < 0.4


def test_lines_get_a_capital_and_a_mark_at_their_end(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join([*(f"line {number}" for number in range(500)), "¿qué?", '"Well," he said', "so: 'yes!'"]))
    parts = read(Corpus(text=str(path)))
    lines = {line for part in parts for line in part.lines}
    assert {"Line 7.", "¿qué?", '"Well," he said.', "So: 'yes!'"} <= lines


def test_sentences_to_learn_from_have_as_many_mistakes_as_are_wanted(text):
    for corpus in (Corpus(text=str(text)), Corpus(grammar=("en",))):
        learned, held_out = read(corpus, (1.0,))
        assert all(source == right for source, right in (learned.draw(Random(seed)) for seed in range(100)))
        drawn = [held_out.draw(Random(seed)) for seed in range(100)]
        assert sum(source == right for source, right in drawn) < 40


def test_generated_sentences_to_learn_and_to_choose_by_are_of_different_parts():
    learned, held_out = read(Corpus(grammar=("en", "de")))
    for sentences, part in ((learned, "train"), (held_out, "choose")):
        random, again = Random(3), Random(3)
        made = pair(again.choice(("en", "de")), part, 0, again.getrandbits(48))
        assert sentences.draw(random) == (made.source, made.target)


def test_a_missing_text_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"there is no text .*nowhere\.txt: give a file with a line a sentence"):
        read(Corpus(text=str(tmp_path / "nowhere.txt")))


def test_a_variable_that_is_not_set_is_one_sentence(monkeypatch):
    monkeypatch.delenv("NO_SUCH_FOLDER", raising=False)
    with pytest.raises(MissingError, match=r"\$NO_SUCH_FOLDER/x.txt needs an environment variable that is not set"):
        read(Corpus(text="$NO_SUCH_FOLDER/x.txt"))


def test_what_is_no_text_is_one_sentence(tmp_path):
    whole = gzip.compress(b"a line\n" * 1000)
    for name, content in (("latin.txt", "é\n".encode("latin-1")), ("cut.gz", whole[:-20]), ("none.gz", b"a line\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="cannot be read as text"):
            read(Corpus(text=str(tmp_path / name)))
    with pytest.raises(DataError, match="there is no text"):
        read(Corpus(text=str(tmp_path)))


def test_a_text_too_short_to_hold_lines_out_is_one_sentence(tmp_path):
    (tmp_path / "short.txt").write_text("one\ntwo\ntwo\n")
    with pytest.raises(DataError, match=r"short\.txt has 2 different lines, too few to hold some out"):
        read(Corpus(text=str(tmp_path / "short.txt")))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "either a text or a grammar"),
        ({"text": "lines.txt", "grammar": ("en",)}, "either a text or a grammar"),
        ({"grammar": ("en", "it")}, "there is no grammar of 'it': there are en, fr, de, es"),
        ({"text": "lines.txt", "language": "it"}, "there is no grammar of 'it'"),
        ({"text": "lines.txt", "weight": 0}, "greater than 0"),
        ({"file": "lines.txt"}, "not permitted"),
    ],
)
def test_a_corpus_is_a_text_or_a_grammar_that_there_is(wrong, said):
    with pytest.raises(ValidationError, match=said):
        Corpus(**wrong)


def test_of_a_grammar_so_many_sentences_have_unknown_words_as_the_recipe_says():
    plain, hidden = (read(Corpus(grammar=["en"], disguised=share))[0] for share in (0.0, 1.0))
    known = {word for seed in range(600) for word in plain.draw(Random(f"known {seed}"))[1].split()}

    def strange(sentences) -> float:
        found = [sentences.draw(Random(seed))[1].split() for seed in range(200)]
        return sum(not set(words) <= known for words in found) / 200

    assert strange(plain) + 0.25 < strange(hidden)


def test_a_share_of_disguised_sentences_above_one_is_refused():
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Corpus(grammar=["en"], disguised=1.5)
