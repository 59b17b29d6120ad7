"""The network, part by part against plain numpy, and as a whole for what must change nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn import functional as F

from stillroom.core import halves
from stillroom.core.adapters import (
    AdapterSpec,
    after_step,
    attach,
    load,
    merge,
    quantization,
    save,
    supported,
    trainable,
)
from stillroom.core.errors import DataError, RecipeError
from stillroom.units.architecture import UNITS
from stillroom.units.config import UnitsConfig
from stillroom.units.model import Block, UnitsModel, interpolation, lay_out
from stillroom.units.scaling import normalised

NAN = float("nan")
CLASSES = ["left", "right", "still"]
SIZES = {
    "patch_size": 4,
    "d_model": 16,
    "num_layers": 2,
    "num_heads": 2,
    "d_ff": 24,
    "prompt_tokens": 3,
    "operator_size": 5,
}


def tiny(seed: int = 0, **changed) -> UnitsModel:
    """A network whose every parameter matters: none is left at the zero or the one that it begins with."""
    tasks = {"forecast": None, "impute": None, "gestures": CLASSES}
    model = UnitsModel(UnitsConfig(**(SIZES | {"quantiles": [0.1, 0.5, 0.9], "tasks": tasks} | changed))).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    return model.requires_grad_(False)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model():
    return tiny()


def walks(seed: int, rows: int, variables: int, time: int, missing: float = 0.2) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, variables, time)).cumsum(-1)
    values[rng.random(values.shape) < missing] = NAN
    return torch.tensor(values, dtype=torch.float32)


def real(output) -> torch.Tensor:
    return output.loc + output.scale * output.values


def same(first, second, atol: float = 2e-4) -> None:
    torch.testing.assert_close(first, second, atol=atol, rtol=1e-3)


def answers(output) -> dict[str, torch.Tensor]:
    return {name: output[name] for name in ("values", "quantiles", "loc", "scale", "hidden")}


sizes = st.fixed_dictionaries(
    {"seed": st.integers(0, 999), "rows": st.integers(1, 3), "variables": st.integers(1, 4), "time": st.integers(1, 30)}
)
quick = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
horizons = st.integers(0, 13)
tasks = st.sampled_from(["forecast", "impute", "gestures"])


# --- each part is its formula


def np_softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def np_rotate(vector: np.ndarray, position: int) -> np.ndarray:
    half = len(vector) // 2
    turned = [
        (vector[i] + 1j * vector[i + half]) * np.exp(1j * position * 10_000 ** (-2 * i / len(vector)))
        for i in range(half)
    ]
    return np.array([t.real for t in turned] + [t.imag for t in turned])


@pytest.fixture(scope="module")
def unequal(model):
    """Normed tokens of two rows, three variables, and how they stand: 2 in front, 4 of the past and 2 of the future."""
    token_present = torch.ones(2, 3, 6, dtype=torch.bool)
    token_present[0, 1, :3] = token_present[1, :, :1] = token_present[1, 2] = False
    layout = lay_out(model.config, 2, 4, 6, token_present, torch.device("cpu"))
    x = torch.tensor(np.random.default_rng(1).normal(size=(2, 3, 8, 16)), dtype=torch.float32)
    return x, layout, token_present.numpy()


POSITIONS = [0, 0, -4, -3, -2, -1, 0, 1]  # none in front; then from the end of the past


def weights_of(module) -> dict[str, np.ndarray]:
    return {name.removesuffix(".weight"): tensor.double().numpy() for name, tensor in module.state_dict().items()}


def test_time_attention_is_rotary_attention_over_what_is_present(model, unequal):
    x, layout, present = unequal
    branch = model.blocks[0].branches["time"]
    w, found = weights_of(branch), branch(x, layout).numpy()
    for row, variable in np.ndindex(2, 3):
        tokens = x[row, variable].numpy()
        keys = [0, 1, *(2 + np.flatnonzero(present[row, variable]))]
        expected = np.empty((8, 16))
        for token, head in np.ndindex(8, 2):
            part = slice(8 * head, 8 * head + 8)
            query = np_rotate((w["q"] @ tokens[token])[part], POSITIONS[token])
            scores = [query @ np_rotate((w["k"] @ tokens[key])[part], POSITIONS[key]) / 8**0.5 for key in keys]
            expected[token, part] = np_softmax(np.array(scores)) @ [(w["v"] @ tokens[key])[part] for key in keys]
        np.testing.assert_allclose(found[row, variable], expected @ w["o"].T, atol=1e-4)


def test_variable_attention_is_one_map_a_head_over_the_variables_that_are_there(model, unequal):
    x, layout, present = unequal
    branch = model.blocks[0].branches["variables"]
    w, found = weights_of(branch), branch(x, layout).numpy()
    for row in range(2):
        tokens, exists = x[row].numpy(), present[row].any(-1)
        mean = np.array(
            [
                t[2:][there].mean(0) if there.any() else np.zeros(16)
                for t, there in zip(tokens, present[row], strict=True)
            ]
        )
        for variable, token in np.ndindex(3, 8):
            if not (exists[variable] if token < 2 else present[row, variable, token - 2]):
                continue
            others = [o for o in range(3) if (exists[o] if token < 2 else present[row, o, token - 2])]
            expected = np.empty(16)
            for head in range(2):
                part = slice(8 * head, 8 * head + 8)
                query = (w["q"] @ mean[variable])[part]
                scores = np.array([query @ (w["k"] @ mean[o])[part] / 8**0.5 for o in others])
                expected[part] = np_softmax(scores) @ [(w["v"] @ tokens[o, token])[part] for o in others]
            np.testing.assert_allclose(found[row, variable, token], w["o"] @ expected, atol=1e-4)


def np_resized(weight: np.ndarray, count: int) -> np.ndarray:
    """Bilinear, centres on centres, edges repeated; divided by the root of count / size."""
    size = len(weight)
    places = np.clip((np.arange(count) + 0.5) * size / count - 0.5, 0, size - 1)
    low = np.minimum(places.astype(int), size - 1)
    high, share = np.minimum(low + 1, size - 1), places - low
    rows = weight[low] * (1 - share[:, None]) + weight[high] * share[:, None]
    return (rows[:, low] * (1 - share) + rows[:, high] * share) * (size / count) ** 0.5


@pytest.mark.parametrize("count", [1, 2, 4, 5, 9, 23])
def test_interpolation_is_the_bilinear_resizing_of_a_picture(count):
    weight = torch.randn(5, 5)
    spread = interpolation(torch.arange(count), torch.tensor([count]), 5)
    found = spread @ weight @ spread.mT
    theirs = F.interpolate(weight[None, None], size=(count, count), mode="bilinear")[0, 0] * (5 / count) ** 0.5
    torch.testing.assert_close(found, theirs, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(found, np_resized(weight.numpy(), count), atol=1e-5)
    assert int((spread != 0).sum(-1).max()) <= 2


def test_the_operator_mixes_the_present_tokens_of_a_variable_by_its_weight_at_their_number(model, unequal):
    x, layout, present = unequal
    branch = model.blocks[0].branches["operator"]
    found, weight = branch(x, layout).numpy(), branch.weight.numpy()
    for row, variable in np.ndindex(2, 3):
        there = 2 + np.flatnonzero(present[row, variable])
        expected = np.zeros((8, 16))
        for head in range(2 if len(there) else 0):
            part = slice(8 * head, 8 * head + 8)
            expected[there, part] = np_resized(weight[head], len(there)) @ x[row, variable].numpy()[there, part]
        np.testing.assert_allclose(found[row, variable], expected, atol=1e-4)


def test_with_everything_present_the_parts_are_the_same_formulas(model):
    x = torch.randn(2, 3, 8, 16)
    everything = torch.ones(2, 3, 6, dtype=torch.bool)
    masked = lay_out(model.config, 2, 4, 6, everything, x.device)
    plain = lay_out(model.config, 2, 4, 6, None, x.device)
    for branch in model.blocks[0].branches.values():
        torch.testing.assert_close(branch(x, masked), branch(x, plain), atol=1e-5, rtol=1e-4)


def test_the_feed_forward_network_is_swiglu(model, unequal):
    x = unequal[0]
    branch = model.blocks[0].branches["features"]
    w = weights_of(branch)
    opening, inner = np.split(x.numpy() @ w["wi"].T, 2, axis=-1)
    expected = (opening / (1 + np.exp(-opening)) * inner) @ w["wo"].T
    np.testing.assert_allclose(branch(x, None).numpy(), expected, atol=1e-4)


def test_a_block_adds_its_branches_of_the_normed_stream_each_through_its_gate(model, unequal):
    x, layout, _ = unequal
    block: Block = model.blocks[0]
    stream = x.double().numpy()
    assert [*block.branches] == ["time", "variables", "operator", "features"]
    for name, branch in block.branches.items():
        scale = block.norms[name].weight.numpy()
        normed = stream / np.sqrt((stream**2).mean(-1, keepdims=True) + 1e-6) * scale
        gate = block.gates[name].gate
        opened = 1 / (1 + np.exp(-(normed @ gate.weight.numpy().T + gate.bias.numpy())))
        stream = stream + opened * branch(torch.tensor(normed, dtype=torch.float32), layout).numpy()
    np.testing.assert_allclose(block(x, layout).numpy(), stream, atol=1e-3, rtol=1e-3)


def test_patches_end_with_the_context_and_hold_values_beside_what_was_observed(model):
    values = torch.tensor([[[5.0, NAN, 1.0, 2.0, 3.0, NAN, NAN, NAN, NAN, 4.0]]])  # 10 steps, patches of 4
    read = []
    hook = model.embed.register_forward_hook(lambda module, inputs, output: read.append((inputs[0], output)))
    streams = []
    second = model.blocks[0].register_forward_pre_hook(lambda module, inputs: streams.append(inputs[0]))
    model(values, horizon=5, task="gestures")
    hook.remove(), second.remove()
    known = np.array([5.0, 1.0, 2.0, 3.0, 4.0])
    steps = np.zeros(20)
    steps[[2, 4, 5, 6, 11]] = (known - known.mean()) / known.std()
    observed = np.zeros(20)
    observed[[2, 4, 5, 6, 11]] = 1.0
    patches = np.concatenate([steps.reshape(5, 4), observed.reshape(5, 4)], axis=1)
    np.testing.assert_allclose(read[0][0][0, 0], patches, atol=1e-6)
    stream, tokens = streams[0][0, 0], model.tokens
    assert torch.equal(stream[:3], tokens.prompts["gestures"])
    assert torch.equal(stream[3], tokens.cls)
    assert torch.equal(stream[4:7], read[0][1][0, 0, :3])
    assert torch.equal(stream[7:], tokens.weight.expand(2, -1))  # the future


def test_a_patch_of_which_nothing_was_observed_is_the_gen_token_wherever_it_stands(model):
    values = walks(0, 1, 1, 12, missing=0.0)
    values[..., 4:8] = NAN
    streams = []
    hook = model.blocks[0].register_forward_pre_hook(lambda module, inputs: streams.append(inputs[0]))
    model(values, horizon=4, task="impute")
    hook.remove()
    for token, is_gen in enumerate([False, True, False, True]):
        assert torch.equal(streams[0][0, 0, 3 + token], model.tokens.weight) is is_gen


def test_heads_write_each_tokens_own_steps(model):
    output = model(walks(0, 2, 3, 10), horizon=5)
    hidden = output.hidden.double().numpy()  # (2, 3, 5, 16): 12 steps of context, 2 of them padding, and 8 of future

    def np_residual(head):
        w = {name: tensor.double().numpy() for name, tensor in head.state_dict().items()}
        inner = hidden @ w["hidden.weight"].T + w["hidden.bias"]
        inner = inner / (1 + np.exp(-inner))
        straight = hidden @ w["straight.weight"].T + w["straight.bias"]
        return inner @ w["output.weight"].T + w["output.bias"] + straight

    values = np_residual(model.value_head).reshape(2, 3, 20)[..., 2:17]
    quantiles = np_residual(model.quantile_head).reshape(2, 3, 20, 3)[..., 2:17, :]
    np.testing.assert_allclose(output.values, values, atol=1e-4)
    np.testing.assert_allclose(output.quantiles, quantiles, atol=1e-4)


def test_class_logits_are_sharpened_cosines_of_the_present_variables_mean_cls(model):
    values, present = walks(0, 2, 3, 10), torch.ones(2, 3, 10, dtype=torch.bool)
    present[1, 2] = False
    tokens = []
    hook = model.norm.register_forward_hook(lambda module, inputs, output: tokens.append(output.double().numpy()))
    logits = model(values, present, task="gestures").class_logits
    hook.remove()
    categories = model.tokens.categories["gestures"].double().numpy()
    categories /= np.linalg.norm(categories, axis=-1, keepdims=True)
    for row, variables in enumerate([[0, 1, 2], [0, 1]]):
        mean = tokens[0][row, variables, 3].mean(0)
        expected = np.exp(model.tokens.sharpness.item()) * categories @ mean / np.linalg.norm(mean)
        np.testing.assert_allclose(logits[row], expected, atol=1e-5)
    assert model(values, task="impute").class_logits is None


# --- what must change nothing


@given(size=sizes, horizon=horizons, task=tasks)
@quick
def test_variables_in_another_order_give_the_same_answers_in_that_order(model, size, horizon, task):
    values = walks(**size)
    order = torch.tensor(np.random.default_rng(size["seed"]).permutation(size["variables"]))
    plain, moved = model(values, None, horizon, task), model(values[:, order], None, horizon, task)
    for name, answer in answers(plain).items():
        same(answer[:, order], moved[name])
    if task == "gestures":
        same(plain.class_logits, moved.class_logits)


@given(size=sizes, horizon=horizons, task=tasks, earlier=st.integers(0, 13), more=st.integers(0, 2))
@quick
def test_padding_changes_nothing_whatever_it_holds(model, size, horizon, task, earlier, more):
    values = walks(**size)
    n, v, t = values.shape
    rng = np.random.default_rng(size["seed"])
    padded = torch.tensor(
        rng.choice([NAN, 7.0, 1e30, float("inf")], size=(n, v + more, earlier + t)), dtype=torch.float32
    )
    padded[:, :v, earlier:] = values
    present = torch.zeros(padded.shape, dtype=torch.bool)
    present[:, :v, earlier:] = True
    plain, wide = model(values, None, horizon, task), model(padded, present, horizon, task)
    s = plain.hidden.shape[2]
    assert plain.token_present.all()
    assert wide.token_present[:, :v, -s:].all()
    assert wide.token_present.sum() == n * v * s
    same(plain.hidden, wide.hidden[:, :v, -s:])
    for name in ("values", "quantiles"):
        same(plain[name], wide[name][:, :v, earlier:])
    for name in ("loc", "scale"):
        same(plain[name], wide[name][:, :v], atol=0)
    if task == "gestures":
        same(plain.class_logits, wide.class_logits)
    assert all(answer.isfinite().all() for answer in answers(wide).values())


@given(seed=st.integers(0, 999), lengths=st.lists(st.integers(1, 30), min_size=2, max_size=4), task=tasks)
@quick
def test_a_batch_of_unequal_series_answers_as_one_at_a_time(model, seed, lengths, task):
    series = [walks(seed + i, 1, 1 + (seed + i) % 3, length) for i, length in enumerate(lengths)]
    values = torch.full((len(series), 3, max(lengths)), NAN)
    present = torch.zeros(values.shape, dtype=torch.bool)
    for row, one in enumerate(series):
        values[row, : one.shape[1], -one.shape[2] :] = one[0]
        present[row, : one.shape[1], -one.shape[2] :] = True
    together = model(values, present, 6, task)
    for row, one in enumerate(series):
        alone = model(one, None, 6, task)
        same(alone.values[0], together.values[row, : one.shape[1], -alone.values.shape[2] :])
        if task == "gestures":
            same(alone.class_logits[0], together.class_logits[row])


@given(size=sizes, scale=st.sampled_from([1e-6, 0.3, 1.0, 4e5]), shift=st.sampled_from([0.0, -2.0, 50.0]))
@quick
def test_input_scaled_and_shifted_gives_output_scaled_and_shifted(model, size, scale, shift):
    values = walks(**size).double()
    values[:, -1] = values[:, -1].nan_to_num(1.0)
    flat = normalised(values, values.isfinite())[2].abs().amax(-1, keepdim=True) == 0  # one value, or none: scale 1
    plain, moved = (
        model(values, horizon=5, task="forecast"),
        model((values + shift) * scale, horizon=5, task="forecast"),
    )
    same(plain.values, moved.values)
    expected = (real(plain) + shift) * scale
    assert torch.where(flat, 0.0, (real(moved) - expected) / scale).abs().max() < 1e-3


@given(size=sizes, missing=st.sampled_from([0.0, 0.5, 0.9, 1.0]), horizon=horizons, task=tasks)
@quick
def test_missing_values_never_make_missing_answers(model, size, missing, horizon, task):
    values = walks(**size, missing=missing)
    present = torch.tensor(np.random.default_rng(size["seed"]).random(values.shape) < 0.5).cummax(-1).values
    for there in (None, present, torch.zeros_like(present)):
        output = model(values, there, horizon, task)
        assert output.values.shape == (*values.shape[:2], values.shape[2] + horizon)
        assert output.quantiles.shape == (*output.values.shape, 3)
        for name in (
            "values",
            "quantiles",
            "loc",
            "scale",
            "hidden",
            *(["class_logits"] if task == "gestures" else []),
        ):
            assert output[name].isfinite().all(), name


def test_what_is_missing_is_not_read(model):
    values = walks(0, 1, 2, 20, missing=0.0)
    other = values.clone()
    values[0, 0, 5], other[0, 0, 5] = NAN, float("inf")
    assert torch.equal(model(values).values, model(other).values)


def test_gradients_of_what_is_missing_are_numbers():
    trained = tiny(dropout=0.2).train().requires_grad_(True)
    values, present = walks(0, 2, 3, 20, missing=0.4), torch.ones(2, 3, 20, dtype=torch.bool)
    values[0, 1] = NAN
    present[1, 2] = present[0, :, :7] = False
    output = trained(values, present, 6, "gestures")
    (
        output.values.square().sum() + output.quantiles.square().sum() + output.class_logits.logsumexp(-1).sum()
    ).backward()
    for name, parameter in trained.named_parameters():
        if name.startswith("tokens.prompts") and "gestures" not in name:
            assert parameter.grad is None
        else:
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name


# --- tasks


def test_a_new_task_costs_little_and_leaves_the_old_ones_as_they_were():
    model = UnitsModel(UnitsConfig()).eval()
    values = walks(0, 2, 3, 40)
    with torch.no_grad():
        before, size = model(values, horizon=8), sum(p.numel() for p in model.parameters())
        assert size <= 3_000_000
        model.add_task("sixty", [str(label) for label in range(60)])
        assert sum(p.numel() for p in model.parameters()) - size < 0.05 * size
        assert torch.equal(model(values, horizon=8).values, before.values)
        assert model(values, task="sixty").class_logits.shape == (2, 60)


def test_a_new_prompt_begins_as_the_mean_of_its_kind():
    model = tiny()
    model.add_task("sounds", ["high", "low"])
    model.add_task("detect")
    prompts = model.tokens.prompts
    assert torch.equal(prompts["sounds"], prompts["gestures"])
    torch.testing.assert_close(prompts["detect"], (prompts["forecast"] + prompts["impute"]) / 2)
    assert prompts["sounds"].requires_grad
    first = UnitsModel(UnitsConfig(**SIZES, tasks={"forecast": None}))
    first.add_task("sounds", ["high", "low"])
    assert torch.equal(first.tokens.prompts["sounds"], first.tokens.prompts["forecast"])


@pytest.mark.parametrize("name", ["forecast", "keys", "training", "a.b"])
def test_a_task_that_cannot_be_added_leaves_no_trace(name):
    model = tiny()
    before = dict(model.config.tasks)
    with pytest.raises(RecipeError, match=r"task|named"):
        model.add_task(name)
    assert model.config.tasks == before
    assert model(walks(0, 1, 1, 8)).values.isfinite().all()


def test_token_parameters_are_all_that_is_learned_as_it_is(model):
    names = set(model.token_parameters())
    assert names == {
        "tokens.weight", "tokens.cls", "tokens.sharpness", "tokens.prompts.forecast", "tokens.prompts.impute",
        "tokens.prompts.gestures", "tokens.categories.gestures",
    }  # fmt: skip


# --- on disk, in half precision, compiled


@pytest.mark.parametrize("half", [False, True])
def test_a_model_comes_back_with_its_tasks_and_in_full_precision(half, tmp_path):
    model = tiny()
    model.add_task("sounds", ["high", "low"])
    halves.save_pretrained(model, tmp_path, half=half)
    kinds = {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()}
    assert kinds == {torch.float16 if half else torch.float32}
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "float32"
    back = UnitsModel.from_pretrained(tmp_path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor.half().float() if half else tensor)
    assert back.config.tasks == model.config.tasks
    assert back.dtype == torch.float32
    assert not back.training
    values = walks(0, 2, 3, 20)
    for task in ("forecast", "gestures", "sounds"):
        with torch.no_grad():
            first, second = model(values, None, 5, task), back(values, None, 5, task)
        for name, answer in answers(first).items():
            same(second[name], answer, atol=0.05 if half else 1e-5)


def test_what_a_checkpoint_lacks_is_drawn_anew_and_the_rest_is_kept(tmp_path):
    model = tiny()
    model.save_pretrained(tmp_path)
    config = UnitsConfig.from_pretrained(tmp_path)
    config.add_task("sounds", ["high", "low"])
    back = UnitsModel.from_pretrained(tmp_path, config=config)
    assert 0.2 < back.tokens.prompts["sounds"].std() < 5
    assert torch.equal(back.tokens.prompts["forecast"], model.tokens.prompts["forecast"])
    assert torch.equal(back.tokens.sharpness, model.tokens.sharpness)


def test_bfloat16_answers_nearly_alike(model):
    values, present = walks(0, 2, 3, 40), torch.ones(2, 3, 40, dtype=torch.bool)
    present[1, :, :9] = False
    plain = UnitsModel(UnitsConfig(**SIZES, tasks={"gestures": CLASSES})).eval().requires_grad_(False)
    full = plain(values, present, 8, "gestures")
    with torch.autocast("cpu", torch.bfloat16):
        mixed = plain(values, present, 8, "gestures")
    half = plain.to(torch.bfloat16)(values, present, 8, "gestures")
    for output in (mixed, half):
        assert output.values.dtype == output.quantiles.dtype == output.class_logits.dtype == torch.float32
        for name in ("values", "quantiles", "class_logits"):
            assert (output[name] - full[name]).abs().max() < 0.05 + 0.05 * full[name].abs().max(), name


def test_it_compiles_as_one_graph():
    model = tiny(num_layers=1)
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    values, present = walks(0, 2, 3, 20), torch.ones(2, 3, 20, dtype=torch.bool)
    same(compiled(values, present, horizon=5, task="gestures").values, model(values, present, 5, "gestures").values)


# --- it learns


def test_it_begins_near_zero_and_learns_to_forecast_a_sine():
    torch.manual_seed(0)
    model = UnitsModel(UnitsConfig(**SIZES, tasks={"forecast": None})).train()
    phase = torch.rand(16, 1, 1) * 6.28
    series = torch.sin(torch.arange(32) * 0.7 + phase)
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=0.01), []
    for _ in range(30):
        output = model(series[..., :24], horizon=8)
        losses.append((real(output) - series)[..., 24:].square().mean())
        losses[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert output.values.shape == (16, 1, 32)
    assert 0.3 < losses[0] < 0.8  # a sine's variance is 0.5: it begins at its mean
    assert losses[-1] < 0.3 * losses[0]


# --- adapters


ADAPTERS = ["full", "bitfit", "lora", "rslora", "dora", "adalora", "ia3", "vera", "fourierft"]


@pytest.mark.parametrize("method", ADAPTERS)
def test_every_adapter_starts_at_the_base_trains_and_comes_back(method, tmp_path):
    base = UnitsModel(UnitsConfig(**SIZES, tasks={"forecast": None})).eval()
    base.add_task("sounds", ["high", "low"])
    base.save_pretrained(tmp_path / "base")
    values = walks(0, 4, 2, 16)
    before = base(values, None, 4, "sounds").values.detach()
    model = attach(base, AdapterSpec(method=method), UNITS, total_steps=10)
    torch.testing.assert_close(model.eval()(values, horizon=4, task="sounds").values, before)
    moving, total = trainable(model)
    assert moving == total if method == "full" else 0 < moving < total
    tokens = [p.requires_grad for name, p in model.named_parameters() if "categories.sounds" in name]
    assert any(tokens), "a new task's tokens train beside any adapter"
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for step in range(6):
        output = model(values, horizon=4, task="sounds")
        loss = torch.nn.functional.cross_entropy(output.class_logits, torch.tensor([0, 1, 0, 1]))
        (loss + output.values.square().mean()).backward()
        optimizer.step()
        after_step(model, step)
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    after = model.eval()(values, horizon=4, task="sounds").values.detach()
    assert not torch.allclose(after, before, atol=1e-4)
    save(model, tmp_path / "adapter")
    back = load(UnitsModel.from_pretrained(tmp_path / "base"), tmp_path / "adapter", UNITS)
    torch.testing.assert_close(back(values, horizon=4, task="sounds").values, after)
    merged = merge(back)
    assert isinstance(merged, UnitsModel)
    torch.testing.assert_close(merged(values, horizon=4, task="sounds").values, after, atol=1e-4, rtol=1e-3)


def test_in_4_bit_what_reads_and_writes_patches_stays_whole_and_qlora_trains(tmp_path):
    pytest.importorskip("bitsandbytes")
    UnitsModel(UnitsConfig(**(SIZES | {"d_model": 64, "d_ff": 64, "num_layers": 1}))).save_pretrained(tmp_path)
    spec = AdapterSpec(method="qlora", rank=2)
    base = UnitsModel.from_pretrained(tmp_path, quantization_config=quantization(spec, UNITS))
    small = {name.split(".")[-1] for name, module in base.named_modules() if type(module).__name__ == "Linear4bit"}
    assert small == {"q", "k", "v", "o", "wi", "wo"}
    model = attach(base, spec, UNITS)
    output = model(walks(0, 2, 2, 16), horizon=4)
    output.values.square().sum().backward()
    assert output.values.isfinite().all()
    assert all(p.grad.isfinite().all() for name, p in model.named_parameters() if "lora_" in name)


def test_prompt_methods_of_language_models_are_refused_in_a_sentence(model):
    assert supported(model, UNITS) == [*ADAPTERS[:6], "qlora", *ADAPTERS[6:]]
    with pytest.raises(RecipeError, match="prompt works on causal language models and on T5, not on UniTS"):
        attach(model, AdapterSpec(method="prompt"), UNITS)


# --- bad input


@pytest.mark.parametrize(
    ("asked", "error", "sentence"),
    [
        (
            {"values": torch.zeros(2, 0, 5)},
            DataError,
            r"shape \(2, 0, 5\) cannot be read: give \(rows, variables, time\)",
        ),
        ({"values": torch.zeros(2, 1, 0)}, DataError, "none of them 0"),
        ({"values": torch.zeros(2, 5)}, DataError, "cannot be read"),
        ({"present": torch.ones(1, 1, 4, dtype=torch.bool)}, DataError, "make them alike"),
        ({"horizon": -1}, DataError, "The horizon is -1: give 0 or more steps"),
        ({"horizon": 4092}, DataError, "5 steps and a horizon of 4092 are more than the 4096"),
        ({"task": "cook"}, RecipeError, "no task 'cook': it has forecast, impute, gestures"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(model, asked, error, sentence):
    with pytest.raises(error, match=sentence):
        model(**({"values": torch.zeros(1, 1, 5)} | asked))
