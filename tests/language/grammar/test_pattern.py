from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.language.grammar.pattern import Slot, parse
from stillroom.language.grammar.words import CLOSING, KINDS, OPENING, Word

names = st.text("abcxyzé", min_size=1, max_size=5)
words = st.text("abcdéßñ'", min_size=1, max_size=4)
texts = words | st.builds("{} {}-{}".format, words, words, words)
marks = st.sampled_from([*CLOSING, *OPENING])
mistakes = st.dictionaries(
    st.sampled_from(KINDS), st.lists(texts | st.just(""), min_size=1, max_size=3).map(tuple), max_size=3
)


@st.composite
def patterns(draw):
    """Items as a language's file could have them, with names of their own and controllers before them."""
    items, known = [], []
    for number in range(draw(st.integers(1, 7))):
        swaps = draw(st.booleans())
        if draw(st.booleans()):
            items.append(Word(draw(texts | marks), draw(mistakes), swaps, spellable=True))
            continue
        controller = draw(st.sampled_from([None, *known]))
        features = tuple(draw(st.lists(names, max_size=3)))
        known.append(f"{draw(names)}{number}")
        items.append(Slot(known[-1], draw(names), features, controller, swaps))
    return tuple(items)


def notation(items) -> str:
    """Write a pattern down."""
    written = []
    for item in items:
        if isinstance(item, Slot):
            features = "".join(f".{feature}" for feature in item.features)
            written.append(f"{{{item.name}:{item.cls}{features}{f'>{item.controller}' if item.controller else ''}}}")
        elif item.wrong:
            forms = ((kind, ",".join(form or "-" for form in those)) for kind, those in item.wrong.items())
            written.append("[" + "|".join([item.text, *(f"{kind}:{those}" for kind, those in forms)]) + "]")
        else:
            written.append(item.text)
        written[-1] = written[-1].replace(" ", "_")
        written += ["~"] * item.swaps
    return " ".join(written)


@settings(deadline=None)
@given(patterns())
def test_a_pattern_that_is_written_down_reads_as_itself(items):
    assert parse(notation(items)) == items


@settings(deadline=None)
@given(st.lists(texts | marks, min_size=1))
def test_fixed_words_stay_as_they_are(parts):
    found = parse(" ".join(part.replace(" ", "_") for part in parts))
    assert [word.text for word in found] == parts
    assert all(isinstance(word, Word) and word.spellable and not word.wrong for word in found)


def test_the_example_of_the_notation_reads_as_it_is_explained():
    found = parse("every morning , {n:person.the} [goes|agreement:go] ~ often [to|preposition:at,-] {place.the} .")
    assert found == (
        Word("every", spellable=True),
        Word("morning", spellable=True),
        Word(",", spellable=True),
        Slot("n", "person", ("the",)),
        Word("goes", {"agreement": ("go",)}, swaps=True, spellable=True),
        Word("often", spellable=True),
        Word("to", {"preposition": ("at", "")}, spellable=True),
        Slot("_8", "place", ("the",)),
        Word(".", spellable=True),
    )


def test_slots_without_a_name_are_apart():
    one, other = parse("{person} {person}")
    assert one.name != other.name
    assert replace(one, name="") == replace(other, name="") == Slot("", "person")


def test_a_slot_may_agree_with_any_slot_before_it():
    *_, verb = parse("{s:person} and {o:thing} {v_go.pres>s}")
    assert verb.controller == "s"


def test_an_empty_pattern_has_no_items():
    assert parse("") == parse("  ") == ()


@pytest.mark.parametrize(
    "item",
    ["{person", "{}", "{n:}", "{:person}", "{n:person.}", "{person}.", "{n person}", "{per-son}", "{n:person>}",
     "{{person}}"],
)  # fmt: skip
def test_what_is_no_slot_is_refused(item):
    with pytest.raises(ValueError, match="is no slot, in 'we see"):
        parse(f"we see {item}")


@pytest.mark.parametrize("text", ["{v_go>s} {s:person}", "{s:v_go>s}", "{n:person} {v_go>m}"])
def test_a_controller_comes_before_its_slot(text):
    with pytest.raises(ValueError, match="agrees with a slot that does not come before it"):
        parse(text)


@pytest.mark.parametrize(
    "item",
    ["[goes|colour:go]", "[goes|agreement:]", "[goes|agreement]", "[goes|]", "[goes|agreement:go", "[goes|:go]",
     "[goes|agreement:go|tense]", "[goes|Agreement:go]", "[goes|agreement:go]."],
)  # fmt: skip
def test_what_is_no_word_with_its_mistakes_is_refused(item):
    with pytest.raises(ValueError, match="is no word with its mistakes, in 'he"):
        parse(f"he {item} home")
