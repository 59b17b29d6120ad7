"""Batched answers are those of one prompt at a time, and what was cut is known to be cut."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stillroom.core.adapters import AdapterSpec, attach
from stillroom.core.errors import DataError, RecipeError
from stillroom.language.architectures import architecture_of
from stillroom.language.generation import Generated, batches, context_of, generate, padded, token_ids

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_students.py"))))
tokenizer = small.tokenizer()
PROMPTS = small.prompts()
ROOM = 12


def one_by_one(model, prompts, room: int = ROOM) -> list[list[int]]:
    """What transformers' own greedy decoding says to each prompt alone."""
    found = []
    for prompt in prompts:
        told = model.generate(
            input_ids=torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=room, do_sample=False, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        found.append(told[0, 1 if model.config.is_encoder_decoder else len(prompt) :].tolist())
    return found


def step_by_step(model, prompts, room: int = ROOM) -> list[list[int]]:
    """Greedy decoding by whole forward passes, as training reads: no cache, no padding."""
    found = []
    for prompt in prompts:
        ids = list(prompt)
        while len(ids) < len(prompt) + room and ids[-1:] != [tokenizer.eos_token_id]:
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids))).logits
            ids.append(int(logits[0, -1].argmax()))
        found.append(ids[len(prompt) :])
    return found


def with_endings(name: str):
    """A model that ends some of its answers: one of its end marks is the token that it says most."""
    model = small.network(name)
    told = [token for answer in one_by_one(model, PROMPTS) for token in answer]
    model.generation_config.eos_token_id = [max(set(told), key=told.count), tokenizer.eos_token_id]
    return model


@pytest.mark.parametrize("family", ["llama", "gpt2", "t5"])
def test_greedy_answers_are_those_of_transformers_one_at_a_time_reference(family):
    model = with_endings(family)
    expected = one_by_one(model, PROMPTS)
    assert len({tuple(answer) for answer in expected}) > 3
    for budget in (1, 150, 10_000):
        told = generate(model, tokenizer, PROMPTS, max_new_tokens=ROOM, batch_tokens=budget)
        assert told.ids == expected
        assert told.tokens == sum(map(len, expected))


@pytest.mark.parametrize("method", ["lora", "prompt", "prefix", "p-tuning"])
def test_an_adapted_model_goes_on_as_it_was_trained_whatever_is_in_the_batch(method):
    torch.manual_seed(0)
    network = small.network("llama")
    model = attach(network, AdapterSpec(method=method), architecture_of(network)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name or "prompt_encoder" in name:
                parameter += 0.3 * torch.randn_like(parameter)
    prompts = [*PROMPTS[:8], PROMPTS[0][::-1]]  # two of one length
    assert generate(model, tokenizer, prompts, max_new_tokens=6).ids == step_by_step(model, prompts, 6)


def test_a_cut_answer_is_known_to_be_cut():
    model = with_endings("llama")
    ends = set(model.generation_config.eos_token_id)
    told = generate(model, tokenizer, PROMPTS, max_new_tokens=ROOM)
    assert True in told.finished
    assert False in told.finished
    for answer, finished in zip(told.ids, told.finished, strict=True):
        assert finished == (answer[-1] in ends)
        assert ends.isdisjoint(answer[:-1])
        assert finished or len(answer) == ROOM
    assert f"{told.finished.count(False)} of them were cut" in told.sentence()


def test_each_row_has_its_own_room():
    model = small.network("llama")
    rooms = [1 + number % 5 for number in range(len(PROMPTS))]
    told = generate(model, tokenizer, PROMPTS, max_new_tokens=rooms)
    longer = one_by_one(model, PROMPTS, 5)
    assert told.ids == [answer[:room] for answer, room in zip(longer, rooms, strict=True)]
    auto = generate(model, tokenizer, PROMPTS)
    cut = [number for number, finished in enumerate(auto.finished) if not finished]
    assert len(cut) > 5
    assert all(len(auto.ids[number]) == len(PROMPTS[number]) * 3 // 2 + 16 for number in cut)


def test_the_models_own_sampling_and_penalties_do_not_count():
    model = small.network("llama")
    expected = generate(model, tokenizer, PROMPTS, max_new_tokens=ROOM).ids
    own = model.generation_config
    own.do_sample, own.temperature, own.top_k, own.repetition_penalty, own.max_length = True, 1.5, 3, 9.0, 5
    assert generate(model, tokenizer, PROMPTS, max_new_tokens=ROOM).ids == expected
    assert model.generation_config is own


def test_sampling_is_the_same_for_a_seed_and_moves_no_random_state():
    model = small.network("llama")

    def drawn(**options):
        return generate(model, tokenizer, PROMPTS, max_new_tokens=ROOM, temperature=1.0, **options).ids

    torch.manual_seed(3)
    first, state = drawn(seed=1), torch.get_rng_state()
    torch.manual_seed(4)
    assert drawn(seed=1) == first
    assert drawn(seed=2) != first
    torch.manual_seed(3)
    assert torch.equal(torch.get_rng_state(), state)
    greedy = generate(model, tokenizer, PROMPTS, max_new_tokens=ROOM).ids
    assert drawn(top_p=1e-6) == greedy


def test_sampling_follows_the_models_distribution():
    model, prompt = small.network("llama"), PROMPTS[0]
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([prompt])).logits[0, -1].div(2.0).softmax(-1)
    told = generate(model, tokenizer, [prompt] * 2000, max_new_tokens=1, temperature=2.0, batch_tokens=10**6)
    counts = torch.bincount(torch.tensor([answer[0] for answer in told.ids]), minlength=len(expected)) / 2000
    assert (counts - expected).abs().max() < 0.04


def test_training_goes_on_as_before_after_an_answer():
    model = small.network("llama").train()
    model.config.use_cache = False  # as the trainer has it
    assert generate(model, tokenizer, PROMPTS[:2], max_new_tokens=3).ids == one_by_one(model.eval(), PROMPTS[:2], 3)
    model.train()
    generate(model, tokenizer, PROMPTS[:2], max_new_tokens=3)
    assert model.training
    model(input_ids=torch.tensor(PROMPTS[:1]), labels=torch.tensor(PROMPTS[:1])).loss.backward()


def test_the_context_is_room_for_prompt_and_answer():
    model = small.network("gpt2")  # a place beyond the last would crash it
    context = context_of(model)
    prompt = (PROMPTS[0] * context)[: context - 3]
    told = generate(model, tokenizer, [prompt, PROMPTS[1]], max_new_tokens=ROOM)
    assert [len(answer) for answer in told.ids] == [3, ROOM]
    assert told.finished == [False, False]
    with pytest.raises(
        DataError, match=f"prompt 1 has {context} tokens and the model reads and writes {context} in all"
    ):
        generate(model, tokenizer, [PROMPTS[0], prompt + PROMPTS[0][:2] + [5]], max_new_tokens=ROOM)


def test_texts_are_asked_as_their_tokens():
    model, texts = small.network("llama"), ["he is in the garden", "we wrote"]
    ids = [tokenizer(text).input_ids for text in texts]
    told = generate(model, tokenizer, texts, max_new_tokens=4)
    assert told.ids == generate(model, tokenizer, ids, max_new_tokens=4).ids
    assert told.texts == [tokenizer.decode(answer, skip_special_tokens=True) for answer in told.ids]


class Framing:
    """A tokenizer that puts a mark around every text, as some do."""

    bos_token, eos_token_id = "<s>", 2

    def __call__(self, text, add_special_tokens=True, verbose=True):
        ids = [ord(letter) for letter in text.removeprefix("<s>")]
        return SimpleNamespace(input_ids=[1, *ids, 2] if add_special_tokens else [1, *ids])


def test_a_prompt_has_one_beginning_and_an_open_end():
    ids = [1, ord("a")]
    assert token_ids(Framing(), ["a", "<s>a", ids], open_end=True) == [ids, ids, ids]
    assert token_ids(Framing(), ["a"], open_end=False) == [[*ids, 2]]


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"temperature": -1}, RecipeError, "A temperature is 0"),
        ({"top_p": 0}, RecipeError, "top_p lies above 0"),
        ({"max_new_tokens": 0}, RecipeError, "one number above 0"),
        ({"max_new_tokens": [3]}, RecipeError, "or one a prompt"),
        ({"prompts": [[5], []]}, DataError, "prompt 1 has no tokens"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, error, sentence):
    with pytest.raises(error, match=sentence):
        generate(small.network("llama"), tokenizer, **{"prompts": [[5], [6]], **options})


def test_no_prompts_are_answered_by_nothing():
    assert generate(small.network("llama"), tokenizer, []).texts == []


def test_speed_counts_answers_and_never_divides_by_nothing():
    assert Generated(["a"], [True], [[1, 2]], 2, 0.5).tokens_per_second == 4
    assert Generated([], [], [], 0, 0.0).tokens_per_second == 0


sizes = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), max_size=40)


@given(sizes, st.integers(1, 200), st.booleans())
def test_every_row_is_in_one_batch_within_the_budget(rows, budget, alike):
    asked, rooms = [[0] * length for length, _ in rows], [room for _, room in rows]
    found = list(batches(asked, rooms, budget, alike=alike))
    assert sorted(row for batch in found for row in batch) == list(range(len(rows)))
    for batch in found:
        lengths = [len(asked[row]) for row in batch]
        assert len(batch) == 1 or len(batch) * (max(lengths) + max(rooms[row] for row in batch)) <= budget
        assert not alike or len(set(lengths)) == 1
    firsts = [len(asked[batch[0]]) for batch in found]
    assert firsts == sorted(firsts, reverse=True)


@given(st.lists(st.lists(st.integers(1, 9), min_size=1), min_size=1), st.booleans())
def test_padding_takes_nothing_away(rows, left):
    ids, mask = padded(rows, 0, left=left)
    assert [row[keep.bool()].tolist() for row, keep in zip(ids, mask, strict=True)] == rows
    assert bool(mask[:, -1 if left else 0].all())
