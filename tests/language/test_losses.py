"""Losses are those of the whole rows, computed at the answers alone."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from stillroom.core.adapters import AdapterSpec, attach
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.objectives import IGNORED_LABEL, forward_kl, top_k
from stillroom.core.settings import TrainSettings
from stillroom.core.trainer import Batches, DistillTrainer
from stillroom.language.architectures import architecture_of
from stillroom.language.losses import STRETCH, answers, losses_for, relations
from stillroom.language.objective import Objective
from stillroom.language.teachers import LanguageTeacher

VOCABULARY, END = 24, 2


def llama(seed, width=32, vocabulary=VOCABULARY):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=64, initializer_range=0.2, pad_token_id=0, eos_token_id=END,
        bos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def t5(seed, width=32):
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=VOCABULARY, d_model=width, d_kv=16, d_ff=2 * width, num_layers=2, num_heads=2, dropout_rate=0.0,
        pad_token_id=0, eos_token_id=END, decoder_start_token_id=0,
    )  # fmt: skip
    return T5ForConditionalGeneration(config)


MAKERS = {"causal": llama, "seq2seq": t5}


def teach(model, kind="causal"):
    return LanguageTeacher(model, None, kind)


def batch_of(kind, seed=0, pairs=((5, 3), (3, 4), (6, 2))):
    """Rows of a prompt and an answer, right-padded; an answer continues the prompt's numbers, so there is a rule."""
    draw = torch.Generator().manual_seed(seed)
    texts = []
    for prompt, answer in pairs:
        first = int(torch.randint(3, VOCABULARY, (), generator=draw))
        numbers = [3 + (first + at) % (VOCABULARY - 3) for at in range(prompt + answer - 1)]
        texts.append((numbers[:prompt], [*numbers[prompt:], END]))
    rows = [(p + a, [IGNORED_LABEL] * len(p) + a) for p, a in texts] if kind == "causal" else texts
    ids, labels = (
        torch.nn.utils.rnn.pad_sequence([torch.tensor(row[part]) for row in rows], True, filler)
        for part, filler in ((0, 0), (1, IGNORED_LABEL))
    )
    lengths = torch.tensor([len(row[0]) for row in rows])
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    if kind == "causal":
        batch["position_ids"] = torch.arange(ids.shape[1]).expand_as(ids)
    return batch


def whole_rows(model, kind, batch):
    """Logits at answer tokens from an ordinary forward pass over whole rows: an independent reference."""
    if kind == "causal":
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
        labels = batch["labels"][:, 1:]
    else:
        logits, labels = model(**batch).logits, batch["labels"]
    return logits[labels != IGNORED_LABEL], labels[labels != IGNORED_LABEL]


def objective(name, **parts):
    teacher = {} if name == "labels" else {"teacher": {"model": "t", **parts.pop("said", {})}}
    return Objective(name=name, **teacher, **parts)


@pytest.mark.parametrize("kind", MAKERS)
def test_logits_at_answers_are_those_of_whole_rows(kind):
    model, batch = MAKERS[kind](0), batch_of(kind)
    said = answers(model, batch, kind)
    logits, labels = whole_rows(model, kind, batch)
    assert torch.equal(said.labels, labels)
    torch.testing.assert_close(said.logits, logits)


def test_the_output_layer_sees_answers_only():
    model, batch, seen = llama(0), batch_of("causal"), []
    model.lm_head.register_forward_hook(lambda layer, inputs, output: seen.append(output.shape))
    answers(model, batch, "causal")
    assert seen == [(1, 9, VOCABULARY)]
    assert len(model.lm_head._forward_pre_hooks) == 0


@pytest.mark.parametrize("kind", MAKERS)
def test_the_loss_on_labels_is_the_networks_own(kind):
    model, batch = MAKERS[kind](0), batch_of(kind)
    named = losses_for(Objective(), kind)(model, batch, None)
    whole = {name: values for name, values in batch.items() if name != "position_ids"}
    torch.testing.assert_close(named["labels"], model(**whole).loss)


@pytest.mark.parametrize("kind", MAKERS)
def test_gradients_are_those_of_whole_rows(kind):
    model, batch = MAKERS[kind](0), batch_of(kind)
    losses_for(Objective(), kind)(model, batch, None)["labels"].backward()
    ours = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    functional.cross_entropy(*whole_rows(model, kind, batch)).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(ours[name], parameter.grad, msg=name)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_divergence_is_forward_kl_at_the_answers(kind):
    student, teacher, batch = MAKERS[kind](0), MAKERS[kind](1, 48), batch_of(kind)
    named = losses_for(objective("forward_kl", temperature=2.0), kind)(student, batch, teach(teacher, kind))
    wanted = forward_kl(whole_rows(student, kind, batch)[0], whole_rows(teacher, kind, batch)[0], temperature=2.0)
    assert list(named) == ["teacher"]
    torch.testing.assert_close(named["teacher"], wanted)


@pytest.mark.parametrize(("beta", "name"), [(0, "forward_kl"), (1, "reverse_kl")])
def test_the_ends_of_jsd_are_the_two_divergences(beta, name):
    student, teacher, batch = llama(0), teach(llama(1)), batch_of("causal")
    jsd = losses_for(objective("jsd", beta=beta), "causal")(student, batch, teacher)
    end = losses_for(objective(name), "causal")(student, batch, teacher)
    torch.testing.assert_close(jsd["teacher"], end["teacher"])


def test_a_teacher_with_another_prompt_is_asked_with_its_own():
    student, teacher = llama(0), llama(1)
    batch, longer = batch_of("causal"), batch_of("causal", pairs=((9, 3), (7, 4), (11, 2)))
    ours = batch["labels"][batch["labels"] != IGNORED_LABEL]
    longer["labels"][longer["labels"] != IGNORED_LABEL] = ours
    both = batch | {f"teacher_{name}": values for name, values in longer.items()}
    named = losses_for(objective("reverse_kl"), "causal")(student, both, teach(teacher))
    mine, theirs = (whole_rows(*pair)[0] for pair in ((student, "causal", batch), (teacher, "causal", longer)))
    q, p = mine.log_softmax(-1), theirs.log_softmax(-1)
    torch.testing.assert_close(named["teacher"], (q.exp() * (q - p)).sum(-1).mean())


def test_a_teacher_that_reads_other_answers_is_refused():
    batch = batch_of("causal")
    both = batch | {f"teacher_{name}": values.clone() for name, values in batch.items()}
    both["teacher_labels"][0, 5] += 1
    with pytest.raises(DataError, match="do not read the same answers"):
        losses_for(objective("forward_kl"), "causal")(llama(0), both, teach(llama(1)))


@pytest.mark.parametrize("student", MAKERS)
def test_a_teacher_of_the_other_kind_needs_a_batch_of_its_own(student):
    other = "seq2seq" if student == "causal" else "causal"
    with pytest.raises(DataError, match="this batch is"):
        losses_for(objective("jsd"), student)(MAKERS[student](0), batch_of(student), teach(MAKERS[other](1), other))
    both = batch_of(student) | {f"teacher_{name}": values for name, values in batch_of(other).items()}
    named = losses_for(objective("jsd"), student)(MAKERS[student](0), both, teach(MAKERS[other](1), other))
    assert named["teacher"] > 0


@pytest.mark.parametrize("name", ["forward_kl", "reverse_kl", "jsd"])
def test_all_tokens_stored_teach_what_a_live_teacher_does(name):
    student, teacher, batch = llama(0), teach(llama(1)), batch_of("causal")
    top = top_k(teacher.logits(batch), VOCABULARY)
    stored = batch | {
        "teacher_indices": top.indices, "teacher_log_probs": top.log_probs, "teacher_tail": top.tail_log_prob,
    }  # fmt: skip
    live = losses_for(objective(name), "causal")(student, batch, teacher)
    kept = losses_for(objective(name, said={"targets": "stored"}), "causal")(student, stored, None)
    torch.testing.assert_close(kept, live, rtol=0, atol=1e-5)


def test_targets_that_were_never_captured_are_missed_in_a_sentence():
    with pytest.raises(RecipeError, match="capture them first"):
        losses_for(objective("forward_kl", said={"targets": "stored"}), "causal")(llama(0), batch_of("causal"), None)
    with pytest.raises(RecipeError, match="there is none"):
        losses_for(objective("forward_kl"), "causal")(llama(0), batch_of("causal"), None)


def test_tokens_that_only_one_side_has_are_left_out():
    student, teacher, batch = llama(0, vocabulary=VOCABULARY + 8), teach(llama(1)), batch_of("causal")
    named = losses_for(objective("forward_kl"), "causal")(student, batch, teacher)
    ours = whole_rows(student, "causal", batch)[0][:, :VOCABULARY]
    torch.testing.assert_close(named["teacher"], forward_kl(ours, teacher.logits(batch)))


def test_labels_can_stand_beside_the_teacher():
    student, teacher, batch = llama(0), teach(llama(1)), batch_of("causal")
    both = objective("forward_kl", labels_weight=0.5)
    named = losses_for(both, "causal")(student, batch, teacher)
    assert both.weights() == {"teacher": 1.0, "labels": 0.5}
    assert named.keys() == both.weights().keys()
    torch.testing.assert_close(named["labels"], losses_for(Objective(), "causal")(student, batch, None)["labels"])


def test_rationales_are_a_loss_of_their_own():
    model, batch = llama(0), batch_of("causal")
    batch["tasks"] = torch.tensor([0, 1, 0])
    named = losses_for(Objective(rationale=0.5), "causal")(model, batch, None)
    for name, rows in (("labels", [0, 2]), ("rationale", [1])):
        alone = {key: values[rows] for key, values in batch.items()}
        torch.testing.assert_close(named[name], losses_for(Objective(), "causal")(model, alone, None)["labels"])


def test_rows_that_do_not_say_what_they_are_are_no_rationales():
    with pytest.raises(DataError, match="label or a rationale"):
        losses_for(Objective(rationale=0.5), "causal")(llama(0), batch_of("causal"), None)


def packed(batch):
    """The same texts in one row, each with places of its own."""
    lengths = batch["attention_mask"].sum(-1).tolist()
    rows = {name: batch[name] for name in ("input_ids", "labels", "position_ids")}
    cut = {n: torch.cat([row[:size] for row, size in zip(v, lengths, strict=True)])[None] for n, v in rows.items()}
    return cut | {"tasks": torch.zeros_like(cut["labels"])}


def test_a_packed_row_teaches_what_its_texts_do_alone():
    student, teacher, batch = llama(0), teach(llama(1)), batch_of("causal")
    losses = losses_for(objective("jsd", labels_weight=1.0), "causal")
    torch.testing.assert_close(losses(student, packed(batch), teacher), losses(student, batch, teacher))


def test_the_first_token_of_a_packed_text_is_predicted_by_nothing():
    batch = packed(batch_of("causal"))
    batch["labels"] = batch["input_ids"].clone()
    said = answers(llama(0), batch, "causal")
    assert len(said.labels) == batch["input_ids"].numel() - 3


def adapted(kind, method):
    model = MAKERS[kind](0)
    return attach(model, AdapterSpec(method=method), architecture_of(model))


@pytest.mark.parametrize("method", ["lora", "ia3", "prompt", "prefix", "p-tuning"])
@pytest.mark.parametrize("kind", MAKERS)
def test_an_adapter_learns_from_every_loss(kind, method):
    batch, teacher = batch_of(kind), teach(MAKERS[kind](1), kind)
    student = adapted(kind, method)
    wanted = objective("forward_kl", labels_weight=1.0, hidden={"weight": 1.0})
    named = losses_for(wanted, kind)(student, batch, teacher)
    whole = {name: values for name, values in batch.items() if name != "position_ids"}
    torch.testing.assert_close(named["labels"], student(**whole).loss)
    for loss in named.values():
        gradients = torch.autograd.grad(loss, [p for p in student.parameters() if p.requires_grad], retain_graph=True)
        assert any(gradient.abs().sum() > 0 for gradient in gradients)


def test_a_learned_prompt_and_packed_rows_exclude_each_other():
    with pytest.raises(RecipeError, match="switch packing off"):
        losses_for(Objective(), "causal")(adapted("causal", "prompt"), packed(batch_of("causal")), None)


@pytest.mark.parametrize("kind", MAKERS)
def test_hidden_states_at_answers_are_those_of_whole_rows(kind):
    model, batch = MAKERS[kind](0), batch_of(kind)
    said = answers(model, batch, kind, hidden=[0, 1, -1])
    whole = {name: values for name, values in batch.items() if name != "position_ids"}
    output = model(**whole, output_hidden_states=True)
    states = output.hidden_states if kind == "causal" else output.decoder_hidden_states
    for layer in (0, 1, -1):
        at = (
            functional.pad(batch["labels"][:, 1:], (0, 1), value=IGNORED_LABEL) if kind == "causal" else batch["labels"]
        )
        torch.testing.assert_close(said.hidden[layer], states[layer][at != IGNORED_LABEL])


def test_relations_do_not_depend_on_width_or_direction():
    states, turn = torch.randn(7, 8), torch.linalg.qr(torch.randn(16, 16))[0]
    wider = 3 * torch.cat([states, torch.zeros(7, 8)], -1) @ turn
    torch.testing.assert_close(relations(states), relations(wider))
    assert relations(torch.randn(STRETCH + 2, 4)).shape == (STRETCH**2 + 4,)


@pytest.mark.parametrize("match", ["relations", "values"])
def test_a_student_that_is_its_teacher_has_nothing_to_align(match):
    wanted = Objective(hidden={"weight": 1.0, "match": match, "layers": {1: 1, -1: -1}}, teacher={"model": "t"})
    batch, teacher = batch_of("causal"), teach(llama(1))
    assert losses_for(wanted, "causal")(llama(1), batch, teacher)["hidden"] < 1e-10
    assert losses_for(wanted, "causal")(llama(0), batch, teacher)["hidden"] > 1e-3


def test_values_of_another_width_are_refused():
    wanted = Objective(hidden={"weight": 1.0, "match": "values"}, teacher={"model": "t"})
    with pytest.raises(ModelError, match="32 wide"):
        losses_for(wanted, "causal")(llama(0), batch_of("causal"), teach(llama(1, 48)))


def test_a_layer_that_is_not_there_is_named():
    wanted = Objective(hidden={"weight": 1.0, "layers": {7: -1}}, teacher={"model": "t"})
    with pytest.raises(RecipeError, match="no layer 7: choose from -3 to 2"):
        losses_for(wanted, "causal")(llama(0), batch_of("causal"), teach(llama(1)))


def test_a_classifier_has_no_tokens_to_learn_from():
    with pytest.raises(RecipeError, match="classifier"):
        losses_for(Objective(), "classifier")


def numerals():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<none>", "<end>", *map(str, range(3, VOCABULARY))]
    inner = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<none>"))
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="<end>")


class Numbers(Batches):
    def __init__(self, kind):
        self.kind = kind

    def __getitem__(self, index):
        return batch_of(self.kind, seed=index) | {"number": torch.tensor(index)}


RECIPES = {
    "labels": {"name": "labels"},
    "forward_kl": {"name": "forward_kl"},
    "reverse_kl": {"name": "reverse_kl"},
    "skewed_forward_kl": {"name": "skewed_forward_kl"},
    "skewed_reverse_kl": {"name": "skewed_reverse_kl"},
    "jsd": {"name": "jsd", "labels_weight": 0.1, "temperature": 2.0},
    "hidden": {"name": "forward_kl", "hidden": {"weight": 1.0}},
    "on policy": {"name": "reverse_kl", "on_policy": {"fraction": 0.5, "max_new_tokens": 4}},
}


@pytest.fixture(scope="module")
def taught():
    """Teachers that know the rule of the numbers, by kind."""
    teachers = {}
    for kind, make in MAKERS.items():
        model = make(1)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for step in range(80):
            optimizer.zero_grad()
            losses_for(Objective(), kind)(model, batch_of(kind, seed=step), None)["labels"].backward()
            optimizer.step()
        teachers[kind] = model
    return teachers


@pytest.mark.parametrize(("recipe", "kind"), [*((name, "causal") for name in RECIPES), ("jsd", "seq2seq")])
def test_thirty_steps_bring_a_student_nearer_to_its_teacher(recipe, kind, taught, tmp_path):
    part = RECIPES[recipe]
    wanted = Objective(**part, **({} if recipe == "labels" else {"teacher": {"model": "t"}}))
    teacher, student = teach(taught[kind], kind), MAKERS[kind](0)
    held_out = [batch_of(kind, seed=1000 + number) for number in range(4)]
    measure = losses_for(objective("jsd"), kind)

    def distance(model):
        apart = [measure(model, batch, teacher)["teacher"] for batch in held_out]
        return {"distance": float(torch.stack(apart).mean())}

    settings = TrainSettings(steps=30, learning_rate=1e-2, select_by="distance", eval_every=30, schedule="constant")
    trainer = DistillTrainer(
        student, losses_for(wanted, kind, tokenizer=numerals()), settings, tmp_path, train_data=Numbers(kind),
        validate=distance, weights=wanted.weights(), teacher=teacher,
    )  # fmt: skip
    trainer.train()
    assert trainer.history[-1]["distance"] < 0.7 * trainer.history[0]["distance"]
