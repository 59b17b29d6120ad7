"""A teacher's probabilities are for students that write in its tokens."""

from __future__ import annotations

import pytest

from stillroom.core.errors import ModelError
from stillroom.language.vocabulary import check

WORDS = ["<pad>", "<end>", "red", "green", "blue"]


def tokenizer(words, end="<end>"):
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token=end)


def test_the_same_tokens_are_all_shared():
    assert check(tokenizer(WORDS), tokenizer(WORDS)) == len(WORDS)


@pytest.mark.parametrize("turned", [False, True])
def test_tokens_added_behind_the_last_shared_one_do_no_harm(turned):
    pair = tokenizer(WORDS), tokenizer([*WORDS, "<filler>", "<mask>"])
    assert check(*(reversed(pair) if turned else pair)) == len(WORDS)


def test_another_order_of_the_same_words_is_another_vocabulary():
    other = ["<pad>", "<end>", "green", "red", "blue"]
    with pytest.raises(ModelError, match=r"2 of 5; token 2 is 'red' to the student and 'green' to the teacher"):
        check(tokenizer(WORDS), tokenizer(other))


def test_the_sentence_says_what_still_works():
    with pytest.raises(ModelError, match=r"Labels, rationales and texts that the teacher wrote still work"):
        check(tokenizer(WORDS), tokenizer(["<pad>", "<end>", "rouge", "vert", "bleu"]))


def test_a_gap_in_the_numbers_is_a_difference():
    gappy = tokenizer(WORDS)
    gappy.get_vocab = lambda: {"<pad>": 0, "<end>": 1, "red": 2, "blue": 4}
    with pytest.raises(ModelError, match="token 3 is 'green' to the student and None to the teacher"):
        check(tokenizer(WORDS), gappy)


def test_answers_that_end_with_another_token_are_refused():
    with pytest.raises(ModelError, match="never to end"):
        check(tokenizer(WORDS), tokenizer(WORDS, end="blue"))
