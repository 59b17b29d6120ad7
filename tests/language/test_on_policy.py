"""The student answers by itself, and the teacher judges what it said."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from torch import nn
from transformers import (
    GenerationMixin,
    LlamaConfig,
    LlamaForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import CausalLMOutput

from stillroom.core.adapters import AdapterSpec, attach
from stillroom.core.errors import DataError, RecipeError
from stillroom.core.lesson import Lesson
from stillroom.core.objectives import IGNORED_LABEL
from stillroom.core.settings import TrainSettings
from stillroom.core.trainer import Batches, DistillTrainer
from stillroom.language.architectures import architecture_of
from stillroom.language.batching import causal, packed, seq2seq
from stillroom.language.encoding import Encoded
from stillroom.language.losses import losses_for
from stillroom.language.objective import Objective, OnPolicyPart
from stillroom.language.on_policy import draw, prompts, respond
from stillroom.language.teachers import LanguageTeacher

END, VOCABULARY = 2, 12
ROWS = [Encoded([3, 4, 5, 6], [7, END], 0), Encoded([8], [9, 10, END], 1), Encoded([4, 11], [3, END], 2)]
PART = OnPolicyPart(max_new_tokens=5)


def tokenizer():
    words = ["<pad>", "<none>", "<end>", *map(str, range(3, VOCABULARY))]
    inner = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<none>"))
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="<end>")


TOKENIZER = tokenizer()


def llama(seed, **sizes):
    torch.manual_seed(seed)
    config = LlamaConfig(**{
        "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 32, "initializer_range": 0.2, "pad_token_id": 0,
        "eos_token_id": END, "bos_token_id": None, **sizes,
    })  # fmt: skip
    return LlamaForCausalLM(config)


def t5(seed, dropout=0.0):
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, dropout_rate=dropout,
        pad_token_id=0, eos_token_id=END, decoder_start_token_id=0,
    )  # fmt: skip
    return T5ForConditionalGeneration(config)


MAKERS = {"causal": llama, "seq2seq": t5}
COLLATE = {"causal": causal, "seq2seq": seq2seq}


def objective(fraction, name="jsd", **parts):
    on_policy = {"fraction": fraction, "max_new_tokens": 5}
    return Objective(name=name, on_policy=on_policy, teacher={"model": "t"}, **parts)


def losses_of(wanted, kind="causal", seed=0):
    return losses_for(wanted, kind, tokenizer=TOKENIZER, seed=seed)


def numbered(kind="causal", number=0):
    return COLLATE[kind](ROWS, 0) | {"number": torch.tensor([number])}


def answers_of(batch):
    return [row[row != IGNORED_LABEL].tolist() for row in batch["labels"]]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_fraction_of_zero_is_learning_off_policy(kind):
    student, teacher = MAKERS[kind](0), LanguageTeacher(MAKERS[kind](1), None, kind)
    never, off = objective(0.0), Objective(name="jsd", teacher={"model": "t"})
    for number in range(3):
        batch = numbered(kind, number)
        ours = losses_of(never, kind)(student, batch, teacher)["teacher"]
        assert torch.equal(ours, losses_of(off, kind)(student, batch, teacher)["teacher"])


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 1.0])
def test_the_loss_on_own_answers_equals_the_reference_of_trl(beta):
    gkd = pytest.importorskip("trl.experimental.gkd.gkd_trainer", reason="trl is not installed")
    student, teacher = llama(0), llama(1)
    ours = losses_of(objective(1.0, beta=beta))(student, numbered(), LanguageTeacher(teacher, None, "causal"))
    seed = losses_of(objective(1.0))._draws(numbered())[1]
    own = respond(student, numbered(), PART, "causal", TOKENIZER, seed)
    ids = {name: own[name] for name in ("input_ids", "attention_mask")}
    theirs = gkd.GKDTrainer.generalized_jsd_loss(
        student(**ids).logits[:, :-1], teacher(**ids).logits[:, :-1], labels=own["labels"][:, 1:], beta=beta
    )
    torch.testing.assert_close(ours["teacher"], theirs)


def test_gradients_are_those_of_the_answers_drawn_and_not_of_the_drawing():
    student, teacher = llama(0), LanguageTeacher(llama(1), None, "causal")
    losses = losses_of(objective(1.0, name="reverse_kl"))
    own = respond(student, numbered(), PART, "causal", TOKENIZER, losses._draws(numbered())[1])
    off = losses_of(Objective(name="reverse_kl", teacher={"model": "t"}))
    weights = list(student.parameters())
    for one, two in zip(
        torch.autograd.grad(losses(student, numbered(), teacher)["teacher"], weights),
        torch.autograd.grad(off(student, own, teacher)["teacher"], weights),
        strict=True,
    ):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("kind", MAKERS)
def test_labels_stand_where_tokens_were_drawn_and_nowhere_else(kind):
    student, ended = MAKERS[kind](0), 0
    part = OnPolicyPart(max_new_tokens=5, temperature=2 if kind == "seq2seq" else 1)  # this T5 is very sure of itself
    for seed in range(8):
        own = respond(student, numbered(kind), part, kind, TOKENIZER, seed)
        for row, answer in enumerate(answers_of(own)):
            assert 1 <= len(answer) <= 5
            assert END not in answer[:-1]
            assert answer[-1] == END or len(answer) == 5
            ended += answer[-1] == END
            length = int(own["attention_mask"][row].sum())
            read = own["input_ids"][row, :length].tolist()
            if kind == "causal":
                assert read == [*ROWS[row].prompt, *answer]
                assert own["labels"][row, : len(ROWS[row].prompt)].eq(IGNORED_LABEL).all()
                assert own["labels"][row, length:].eq(IGNORED_LABEL).all()
            else:
                assert read == ROWS[row].prompt
    assert 0 < ended < 24


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_answers_are_drawn_from_the_students_whole_distribution(temperature):
    student = llama(0)
    student.generation_config.update(top_k=1, repetition_penalty=5.0, min_new_tokens=4)  # what it should do at work
    before = student.generation_config
    prompt = torch.tensor([3, 4, 5])
    drawn = draw(student, [prompt] * 4000, 1, temperature, TOKENIZER, 0)
    found = torch.bincount(torch.cat(drawn), minlength=VOCABULARY) / 4000
    wanted = (student(prompt[None]).logits[0, -1] / temperature).softmax(-1)
    assert (found - wanted).abs().max() < 0.03
    assert student.generation_config is before
    assert before.top_k == 1


@pytest.mark.parametrize("kind", MAKERS)
def test_prompts_beside_it_do_not_change_an_answer(kind):
    student = MAKERS[kind](0)
    asked = prompts(numbered(kind), kind)
    together = draw(student, asked, 4, 1e-4, TOKENIZER, 0)  # so cold that the likeliest token is drawn
    for prompt, answer in zip(asked, together, strict=True):
        (alone,) = draw(student, [prompt], 4, 1e-4, TOKENIZER, 0)
        assert torch.equal(alone, answer)


def test_the_number_of_a_batch_decides_what_is_drawn():
    student, teacher = llama(0), LanguageTeacher(llama(1), None, "causal")
    losses = losses_of(objective(1.0))
    outside = torch.get_rng_state()
    one, same, other = (losses(student, numbered(number=n), teacher)["teacher"] for n in (5, 5, 6))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), outside)
    assert not torch.equal(one, losses_of(objective(1.0), seed=1)(student, numbered(number=5), teacher)["teacher"])


def test_the_fraction_is_the_share_of_steps():
    losses = losses_of(objective(0.3))
    chances = torch.tensor([losses._draws(numbered(number=number))[0] for number in range(2000)])
    assert abs((chances < 0.3).float().mean() - 0.3) < 0.03


def test_a_batch_without_a_number_draws_from_torchs_generator():
    student, teacher, batch = llama(0), LanguageTeacher(llama(1), None, "causal"), causal(ROWS, 0)
    losses, said = losses_of(objective(1.0)), []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        said.append(losses(student, batch, teacher)["teacher"])
    assert torch.equal(said[0], said[1])
    assert not torch.equal(said[0], said[2])


@pytest.mark.parametrize("number", [True, False])
def test_a_run_that_was_cut_short_draws_the_same_answers_again(number, tmp_path):
    class Data(Batches):
        def __getitem__(self, index):
            return causal(ROWS, 0) | ({"number": torch.tensor([index])} if number else {})

    def run(folder, stop=None):
        student, calls = llama(0, attention_dropout=0.1), []
        first = student.lm_head.weight.detach().clone()

        def validate(model):
            calls.append(1)
            if len(calls) == stop:
                raise KeyboardInterrupt
            return {"loss": -float((model.lm_head.weight - first).norm())}  # the last weights are the best

        train = TrainSettings(steps=6, learning_rate=1e-2, select_by="loss", eval_every=2)
        trainer = DistillTrainer(
            student, losses_of(objective(0.5)), train, folder, train_data=Data(), validate=validate,
            teacher=LanguageTeacher(llama(1), None, "causal"),
        )  # fmt: skip
        trainer.train()
        assert trainer.best["step"] == 6
        return student.state_dict()

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop=3)
    torch.testing.assert_close(run(tmp_path / "cut"), run(tmp_path / "whole"), rtol=0, atol=0)


def test_the_student_answers_without_dropout_and_goes_on_with_it():
    student = t5(0, dropout=0.5).train()
    asked = prompts(numbered("seq2seq"), "seq2seq")
    first = draw(student, asked, 5, 1e-4, TOKENIZER, 0)
    assert all(map(torch.equal, first, draw(student, asked, 5, 1e-4, TOKENIZER, 1)))
    assert all(module.training for module in student.modules())


def test_packed_texts_are_each_asked_for_themselves():
    batch = packed([ROWS[:2], ROWS[2:]], 0)
    assert [prompt.tolist() for prompt in prompts(batch, "causal")] == [row.prompt for row in ROWS]
    own = respond(llama(0), batch, PART, "causal", TOKENIZER, 0)
    alone = respond(llama(0), causal(ROWS, 0), PART, "causal", TOKENIZER, 0)
    assert answers_of(own) == answers_of(alone)


TOKENS = st.lists(st.integers(3, VOCABULARY - 1), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=3), min_size=1, max_size=3))
def test_prompts_are_found_wherever_the_texts_lie(sequences):
    rows = [[Encoded(prompt, answer, 0) for prompt, answer in sequence] for sequence in sequences]
    flat = [row for sequence in rows for row in sequence]
    for kind, batch in (("causal", packed(rows, 0)), ("causal", causal(flat, 0)), ("seq2seq", seq2seq(flat, 0))):
        assert [prompt.tolist() for prompt in prompts(batch, kind)] == [row.prompt for row in flat]


def test_a_row_without_an_answer_is_not_asked():
    batch = causal(ROWS, 0)
    batch["labels"][1] = IGNORED_LABEL
    assert [prompt.tolist() for prompt in prompts(batch, "causal")] == [ROWS[0].prompt, ROWS[2].prompt]
    batch["labels"][:] = IGNORED_LABEL
    assert torch.equal(respond(llama(0), batch, PART, "causal", TOKENIZER, 0)["input_ids"], batch["input_ids"])


@pytest.mark.parametrize("teacher_kind", MAKERS)
def test_the_teacher_judges_the_same_answers_from_its_own_prompt(teacher_kind):
    student, teacher = llama(0), LanguageTeacher(MAKERS[teacher_kind](1), None, teacher_kind)
    longer = [Encoded([5, 5, 5, *row.prompt], row.answer, row.row) for row in ROWS]
    read = COLLATE[teacher_kind](longer, 0)
    batch = numbered() | {f"teacher_{name}": values for name, values in read.items()}
    own = respond(student, batch, PART, "causal", TOKENIZER, 0, teacher)
    assert answers_of(own) == answers_of({"labels": own["teacher_labels"]})
    told = prompts(own, teacher_kind, "teacher_")
    assert [prompt.tolist() for prompt in told] == [row.prompt for row in longer]
    assert torch.isfinite(losses_of(objective(1.0))(student, batch, teacher)["teacher"])


def test_labels_stay_with_the_stored_answers():
    student, teacher = llama(0), LanguageTeacher(llama(1), None, "causal")
    wanted = objective(1.0, labels_weight=0.5, hidden={"weight": 0.1})
    named = losses_of(wanted)(student, numbered(), teacher)
    assert named.keys() == wanted.weights().keys()
    stored = losses_for(Objective(), "causal")(student, numbered(), None)
    torch.testing.assert_close(named["labels"], stored["labels"])


@pytest.mark.parametrize("method", ["lora", "prompt", "prefix", "p-tuning"])
@pytest.mark.parametrize("kind", MAKERS)
def test_a_student_within_an_adapter_answers_as_what_it_is(kind, method):
    model = MAKERS[kind](0)
    student = attach(model, AdapterSpec(method=method), architecture_of(model))
    teacher = LanguageTeacher(MAKERS[kind](1), None, kind)
    asked = prompts(numbered(kind), kind)
    drawn = draw(student, asked, 3, 1e-4, TOKENIZER, 0)
    for answer, row in zip(drawn, ROWS, strict=True):  # each token is the likeliest after those before it
        batch = COLLATE[kind]([Encoded(row.prompt, answer.tolist(), 0)], 0)
        ids = {name: values for name, values in batch.items() if name != "position_ids"}
        logits = student(**ids).logits[0, -len(answer) - (kind == "causal") :]
        assert torch.equal(logits[: len(answer)].argmax(-1), answer)
    losses_of(objective(1.0), kind)(student, numbered(kind), teacher)["teacher"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in student.parameters() if p.requires_grad)


def test_half_precision_loses_no_gradient_to_the_drawing():
    teacher = LanguageTeacher(llama(1), None, "causal")
    for losses in (losses_of(objective(1.0)), losses_of(objective(1.0, labels_weight=1.0))):
        student = llama(0)
        Lesson(student, losses, teacher, device="cpu", precision="bf16")(numbered())["teacher"].backward()
        for name, parameter in student.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_an_answer_ends_where_the_model_can_read_no_further():
    student = llama(0, max_position_embeddings=6)
    own = respond(student, numbered(), PART, "causal", TOKENIZER, 0)
    assert own["input_ids"].shape[1] <= 6
    full = causal([Encoded([3] * 6, [END], 0)], 0)
    with pytest.raises(DataError, match="shorten it"):
        respond(student, full, PART, "causal", TOKENIZER, 0)
    cramped = LanguageTeacher(llama(1, max_position_embeddings=4), None, "causal")
    told = {f"teacher_{name}": values for name, values in causal(ROWS, 0).items()}
    with pytest.raises(DataError, match="no room"):
        respond(student, numbered() | told, PART, "causal", TOKENIZER, 0, cramped)


def test_a_text_without_a_prompt_cannot_be_answered():
    batch = causal([Encoded([], [3, END], 0)], 0)
    with pytest.raises(DataError, match="without a prompt"):
        respond(llama(0), batch, PART, "causal", TOKENIZER, 0)


def test_a_tokenizer_without_an_end_is_refused_before_training():
    with pytest.raises(RecipeError, match="eos_token"):
        losses_for(objective(1.0), "causal", tokenizer=SimpleNamespace(eos_token_id=None, pad_token_id=0))
    with pytest.raises(RecipeError, match="eos_token"):
        losses_for(objective(1.0), "causal")


class Table(PreTrainedModel, GenerationMixin):
    """Says what it says after the last token; its tokens lie on a line."""

    config_class = PretrainedConfig

    def __init__(self, states, head):
        super().__init__(PretrainedConfig(vocab_size=VOCABULARY, num_hidden_layers=1, hidden_size=head.in_features))
        self.states, self.head = nn.Embedding.from_pretrained(states, freeze=False), head

    def get_output_embeddings(self):
        return self.head

    def forward(self, input_ids, **ignored):
        return CausalLMOutput(logits=self.head(self.states(input_ids)))


def fixed(weight):
    head = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    head.weight = nn.Parameter(weight, requires_grad=False)
    return head


def with_two_modes(low, high, share):
    """Logits of a distribution over the line: a peak at `low` with that share, one at `high` with the rest."""
    places = torch.arange(VOCABULARY, dtype=torch.float32)
    peaks = share * torch.exp(-((places - low) ** 2)) + (1 - share) * torch.exp(-((places - high) ** 2))
    return torch.log(peaks + 1e-4)


@pytest.mark.parametrize(("name", "within"), [("reverse_kl", True), ("forward_kl", False)])
def test_reverse_kl_on_policy_finds_the_mode_of_a_teacher_that_the_student_cannot_follow(name, within, tmp_path):
    # The teacher says 4 or 10, rather 4, and after either of them again one or the other. The student's distribution
    # has one peak, whose place it learns: it can cover both modes, and say what lies between, or choose one.
    teacher = LanguageTeacher(
        Table(with_two_modes(4, 10, 0.7).repeat(VOCABULARY, 1), fixed(torch.eye(VOCABULARY))), None, "causal"
    )
    places = torch.arange(VOCABULARY, dtype=torch.float32)
    head = fixed(torch.stack([places, -(places**2) / 2], dim=1))  # of (m/s², 1/s²): a bell at m, s wide
    width = 4.0
    student = Table(torch.tensor([[6.0 / width, 1 / width]]).repeat(VOCABULARY, 1), head)

    class Data(Batches):
        def __getitem__(self, index):
            return causal([Encoded([3], [4, 4], n) for n in range(8)], 0) | {"number": torch.tensor([index])}

    wanted = Objective(name=name, on_policy={"max_new_tokens": 2}, teacher={"model": "t"})
    train = TrainSettings(steps=150, learning_rate=0.05, select_by="last", schedule="constant", eval_every=150)
    calls = []
    DistillTrainer(
        student, losses_of(wanted), train, tmp_path, train_data=Data(), teacher=teacher,
        validate=lambda model: {"last": -float(len(calls.append(1) or calls))},
    ).train()  # fmt: skip
    chances = student(torch.tensor([[3, 4]])).logits.softmax(-1)[0]  # of the first token, and of that after a 4
    at_the_mode, between = chances[:, 3:6].sum(-1), chances[:, 6:9].sum(-1)
    assert bool((at_the_mode > 0.9).all()) is within
    assert bool((between > 0.2).all()) is not within
    assert math.isclose(float(chances.detach().sum()), 2, abs_tol=1e-4)
