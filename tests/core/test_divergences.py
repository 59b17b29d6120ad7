import math
import os
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.distributions import Categorical, kl_divergence
from torch.nn import functional

from stillroom.core.errors import ModelError, RecipeError
from stillroom.core.objectives import (
    TopK,
    cross_entropy,
    forward_kl,
    generalized_js,
    reverse_kl,
    skewed_forward_kl,
    skewed_reverse_kl,
    sparse_forward_kl,
    sparse_generalized_js,
    sparse_reverse_kl,
    top_k,
    total_variation,
)

DENSE = (forward_kl, reverse_kl, skewed_forward_kl, skewed_reverse_kl, generalized_js, total_variation)
SPARSE = {sparse_forward_kl: forward_kl, sparse_reverse_kl: reverse_kl, sparse_generalized_js: generalized_js}

every_dense = pytest.mark.parametrize("divergence", DENSE, ids=lambda function: function.__name__)
every_sparse = pytest.mark.parametrize(("sparse", "dense"), SPARSE.items(), ids=lambda function: function.__name__)

finite_logits = hnp.arrays(np.float64, (2, 3, 7), elements=st.floats(-30, 30))


def logits(*shape, seed=0, scale=2.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)


def pair(*shape, scale=2.0, dtype=torch.float64):
    return logits(*shape, seed=1, scale=scale, dtype=dtype), logits(*shape, seed=2, scale=scale, dtype=dtype)


def probabilities(values):
    """Float64 numpy softmax, written without torch."""
    values = values.numpy().astype(np.float64)
    exponentials = np.exp(values - values.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def loss_and_gradients(function, *tensors, **options):
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    loss = function(*leaves, **options)
    loss.backward()
    return loss.detach(), [leaf.grad for leaf in leaves]


# Values against independent formulas


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_kl_equals_the_reference_of_torch_distributions(temperature):
    student, teacher = pair(4, 5, 11)
    p, q = Categorical(logits=teacher / temperature), Categorical(logits=student / temperature)
    torch.testing.assert_close(forward_kl(student, teacher, temperature=temperature), kl_divergence(p, q).mean())
    torch.testing.assert_close(reverse_kl(student, teacher, temperature=temperature), kl_divergence(q, p).mean())


@pytest.mark.parametrize("skew", [0.05, 0.1, 0.5, 0.9])
def test_skewed_kl_equals_the_kl_to_the_mixture_in_numpy(skew):
    student, teacher = pair(4, 5, 11)
    q, p = probabilities(student), probabilities(teacher)
    forward = (p * np.log(p / (skew * p + (1 - skew) * q))).sum(-1).mean()
    reverse = (q * np.log(q / (skew * q + (1 - skew) * p))).sum(-1).mean()
    assert skewed_forward_kl(student, teacher, skew=skew).item() == pytest.approx(forward, rel=1e-12)
    assert skewed_reverse_kl(student, teacher, skew=skew).item() == pytest.approx(reverse, rel=1e-12)


def test_total_variation_equals_half_the_absolute_difference_in_numpy():
    student, teacher = pair(4, 5, 11)
    expected = np.abs(probabilities(teacher) - probabilities(student)).sum(-1).mean() / 2
    assert total_variation(student, teacher).item() == pytest.approx(expected, rel=1e-12)


@pytest.fixture(scope="module")
def trl_jsd():
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    gkd = pytest.importorskip("trl.experimental.gkd", reason="the reference value comes from trl")
    return gkd.GKDTrainer.generalized_jsd_loss


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("beta", [0, 0.1, 0.5, 0.9, 1])
def test_generalized_js_equals_the_reference_of_trl_in_value_and_gradient(trl_jsd, beta, temperature):
    student, teacher = pair(3, 6, 13)
    labels = torch.ones(3, 6, dtype=torch.long)
    labels[0, 2:] = -100
    labels[2, :1] = -100
    ours, our_gradients = loss_and_gradients(
        lambda q, p: generalized_js(q, p, labels != -100, temperature=temperature, beta=beta), student, teacher
    )
    theirs, their_gradients = loss_and_gradients(
        lambda q, p: trl_jsd(q, p, labels=labels, beta=beta, temperature=temperature), student, teacher
    )
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(our_gradients, their_gradients)


def test_generalized_js_near_its_ends_is_beta_times_the_kl():
    student, teacher = pair(4, 9)
    near = 1e-6
    assert generalized_js(student, teacher, beta=near).item() / near == pytest.approx(
        forward_kl(student, teacher).item(), rel=1e-4
    )
    assert generalized_js(student, teacher, beta=1 - near).item() / near == pytest.approx(
        reverse_kl(student, teacher).item(), rel=1e-4
    )


def test_hard_cross_entropy_equals_torch_and_skips_ignored_labels():
    student = logits(4, 5, 11)
    labels = torch.randint(11, (4, 5), generator=torch.Generator().manual_seed(0))
    labels[1, 3:] = -100
    expected = functional.cross_entropy(student.reshape(-1, 11), labels.reshape(-1), ignore_index=-100)
    torch.testing.assert_close(cross_entropy(student, labels), expected)


def test_soft_cross_entropy_is_forward_kl_plus_the_teachers_entropy():
    student, teacher = pair(4, 5, 11)
    soft = teacher.softmax(-1)
    entropy = Categorical(probs=soft).entropy().mean()
    torch.testing.assert_close(cross_entropy(student, soft), forward_kl(student, teacher) + entropy)


def test_hard_cross_entropy_equals_the_soft_one_on_one_hot_labels():
    student = logits(4, 5, 11)
    labels = torch.randint(11, (4, 5), generator=torch.Generator().manual_seed(0))
    one_hot = functional.one_hot(labels, 11).double()
    torch.testing.assert_close(cross_entropy(student, labels), cross_entropy(student, one_hot))


def test_cross_entropy_equals_the_reference_of_a_t5_on_its_own_logits():
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    model = T5ForConditionalGeneration(
        T5Config(vocab_size=40, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, **shape)
    ).eval()
    labels = torch.randint(2, 40, (3, 8))
    labels[0, 5:] = -100
    with torch.no_grad():
        output = model(input_ids=torch.randint(2, 40, (3, 12)), labels=labels)
    torch.testing.assert_close(cross_entropy(output.logits, labels), output.loss)


# Gradients


@every_dense
def test_gradients_equal_numerical_ones(divergence):
    student, teacher = (values.requires_grad_() for values in pair(2, 3, 5))
    mask = torch.tensor([[1, 1, 0], [0, 1, 1]])
    assert torch.autograd.gradcheck(lambda q, p: divergence(q, p, mask, temperature=1.5), (student, teacher))


@pytest.mark.parametrize("sparse", SPARSE, ids=lambda function: function.__name__)
def test_sparse_gradients_equal_numerical_ones(sparse):
    student, teacher = pair(2, 3, 7)
    kept = top_k(teacher, 3)
    assert torch.autograd.gradcheck(lambda q: sparse(q, kept), student.requires_grad_())


def test_cross_entropy_gradients_equal_numerical_ones():
    student, teacher = pair(2, 3, 5)
    student.requires_grad_()
    labels = torch.tensor([[0, 4, -100], [2, 2, 1]])
    assert torch.autograd.gradcheck(lambda q: cross_entropy(q, labels), student)
    assert torch.autograd.gradcheck(lambda q: cross_entropy(q, teacher.softmax(-1)), student)


@pytest.mark.parametrize("divergence", [function for function in DENSE if function is not total_variation])
def test_a_student_that_equals_its_teacher_is_left_alone(divergence):
    teacher = logits(3, 9)
    loss, (gradient, _) = loss_and_gradients(divergence, teacher, teacher)
    assert abs(loss.item()) < 1e-12
    assert gradient.abs().max() < 1e-12


@pytest.mark.parametrize("divergence", DENSE, ids=lambda function: function.__name__)
def test_descent_brings_the_student_to_the_teacher(divergence):
    student, teacher = pair(2, 6)
    student.requires_grad_()
    optimizer = torch.optim.Adam([student], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        divergence(student, teacher).backward()
        optimizer.step()
    torch.testing.assert_close(student.softmax(-1), teacher.softmax(-1), atol=0.02, rtol=0)


# Properties


@settings(max_examples=60, deadline=None)
@given(finite_logits, finite_logits)
def test_divergences_are_never_negative_and_know_only_differences_of_logits(student, teacher):
    student, teacher = torch.from_numpy(student), torch.from_numpy(teacher)
    for divergence in DENSE:
        value = divergence(student, teacher).item()
        assert value >= -1e-12
        assert divergence(student + 5, teacher - 3).item() == pytest.approx(value, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(finite_logits, finite_logits, st.floats(0.01, 0.99))
def test_bounded_divergences_keep_their_bounds(student, teacher, share):
    student, teacher = torch.from_numpy(student), torch.from_numpy(teacher)
    assert total_variation(student, teacher) <= 1 + 1e-12
    assert skewed_forward_kl(student, teacher, skew=share) <= -math.log(share) + 1e-12
    assert skewed_reverse_kl(student, teacher, skew=share) <= -math.log(share) + 1e-12
    assert generalized_js(student, teacher) <= math.log(2) + 1e-12
    torch.testing.assert_close(
        generalized_js(student, teacher, beta=share), generalized_js(teacher, student, beta=1 - share)
    )


# Masks


@every_dense
def test_padding_changes_neither_value_nor_gradient(divergence):
    student, teacher = pair(2, 4, 7)
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
    loss, (gradient, _) = loss_and_gradients(divergence, student, teacher, mask=mask)
    rubbish = torch.full((2, 3, 7), torch.nan)
    longer = functional.pad(mask, (0, 3))
    padded, (padded_gradient, teacher_gradient) = loss_and_gradients(
        divergence, torch.cat([student, rubbish], 1), torch.cat([teacher, rubbish], 1), mask=longer
    )
    torch.testing.assert_close(padded, loss, rtol=1e-14, atol=0)
    torch.testing.assert_close(padded_gradient[:, :4], gradient, rtol=1e-14, atol=0)
    assert (padded_gradient[:, 4:] == 0).all()
    assert (teacher_gradient[:, 4:] == 0).all()


@every_dense
def test_a_mask_gives_the_mean_over_what_counts(divergence):
    student, teacher = pair(2, 3, 7)
    mask = torch.tensor([[True, False, True], [False, True, False]])
    each = [divergence(student[i, j], teacher[i, j]) for i in range(2) for j in range(3) if mask[i, j]]
    torch.testing.assert_close(divergence(student, teacher, mask), torch.stack(each).mean())


@every_dense
def test_a_mask_broadcasts_over_the_batch(divergence):
    student, teacher = pair(2, 3, 7)
    mask = torch.tensor([1, 0, 1])
    torch.testing.assert_close(
        divergence(student, teacher, mask), divergence(student, teacher, torch.stack([mask, mask]))
    )


@every_dense
def test_a_mask_of_nothing_gives_zero_with_zero_gradient(divergence):
    student, teacher = pair(2, 3, 7)
    loss, gradients = loss_and_gradients(divergence, student, teacher, mask=torch.zeros(2, 3))
    assert loss == 0
    assert all((gradient == 0).all() for gradient in gradients)


def test_cross_entropy_is_zero_with_zero_gradient_where_no_label_is():
    loss, (gradient,) = loss_and_gradients(cross_entropy, logits(2, 3, 7), labels=torch.full((2, 3), -100))
    assert loss == 0
    assert (gradient == 0).all()


def test_cross_entropy_masks_nan_in_logits_and_soft_labels():
    student, soft = logits(2, 3, 7), logits(2, 3, 7, seed=5).softmax(-1)
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    clean = cross_entropy(student, soft, mask)
    student[mask == 0], soft[mask == 0] = torch.nan, torch.nan
    loss, (gradient,) = loss_and_gradients(cross_entropy, student, labels=soft, mask=mask)
    torch.testing.assert_close(loss, clean, rtol=1e-14, atol=0)
    assert (gradient[mask == 0] == 0).all()
    assert gradient.isfinite().all()


def test_cross_entropy_counts_labels_that_are_there_and_in_the_mask():
    student = logits(1, 4, 7)
    labels, mask = torch.tensor([[3, -100, 5, 6]]), torch.tensor([1, 1, 1, 0])
    expected = functional.cross_entropy(student[0, [0, 2]], labels[0, [0, 2]])
    torch.testing.assert_close(cross_entropy(student, labels, mask), expected)


@pytest.mark.parametrize("sparse", SPARSE, ids=lambda function: function.__name__)
def test_sparse_masks_keep_nan_out(sparse):
    student, teacher = pair(2, 3, 7)
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    clean = sparse(student, top_k(teacher, 3), mask)
    kept = top_k(teacher, 3)
    rotten = TopK(kept.indices, kept.log_probs.clone(), kept.tail_log_prob.clone())
    student[mask == 0], rotten.log_probs[mask == 0], rotten.tail_log_prob[mask == 0] = torch.nan, torch.nan, torch.nan
    loss, (gradient,) = loss_and_gradients(sparse, student, teacher=rotten, mask=mask)
    torch.testing.assert_close(loss, clean, rtol=1e-14, atol=0)
    assert gradient.isfinite().all()


# Extreme logits and half precision


def extremes():
    """Logits, as (student, teacher), that break a naive formula."""
    student, teacher = pair(2, 3, 6, scale=1.0, dtype=torch.float32)
    ruled_out = torch.zeros(6, dtype=torch.bool)
    ruled_out[[1, 4]] = True
    return {
        "±1e4": (1e4 * student.sign(), 1e4 * teacher.sign()),
        "±1e4 against even": (1e4 * student.sign(), torch.zeros_like(teacher)),
        "even against ±1e4": (torch.zeros_like(student), 1e4 * teacher.sign()),
        "-inf in the student": (student.masked_fill(ruled_out, -torch.inf), teacher),
        "-inf in the teacher": (student, teacher.masked_fill(ruled_out, -torch.inf)),
        "-inf in both": (student.masked_fill(ruled_out, -torch.inf), teacher.masked_fill(ruled_out, -torch.inf)),
        "disjoint": (student.masked_fill(ruled_out, -torch.inf), teacher.masked_fill(~ruled_out, -torch.inf)),
        "finfo.min": (
            student.masked_fill(ruled_out, torch.finfo(torch.float32).min),
            teacher.masked_fill(~ruled_out, torch.finfo(torch.float32).min),
        ),
        "only one token left": (
            student.masked_fill(torch.arange(6) > 0, -torch.inf),
            teacher.masked_fill(torch.arange(6) < 5, -torch.inf),
        ),
    }


every_extreme = pytest.mark.parametrize("case", extremes())


@every_extreme
@every_dense
def test_extreme_logits_give_finite_values_and_gradients(divergence, case):
    loss, gradients = loss_and_gradients(divergence, *extremes()[case])
    assert loss.isfinite()
    assert loss >= 0
    assert all(gradient.isfinite().all() for gradient in gradients)


@every_extreme
@every_sparse
@pytest.mark.parametrize("k", [1, 2, 6])
def test_extreme_logits_give_finite_sparse_values_and_gradients(sparse, dense, case, k):
    student, teacher = extremes()[case]
    loss, (gradient,) = loss_and_gradients(sparse, student, teacher=top_k(teacher, k))
    assert loss.isfinite()
    assert gradient.isfinite().all()


@every_extreme
def test_extreme_logits_give_finite_cross_entropy(case):
    student, teacher = extremes()[case]
    for labels in (torch.full((2, 3), 4), teacher.softmax(-1)):
        loss, (gradient,) = loss_and_gradients(cross_entropy, student, labels=labels)
        assert loss.isfinite()
        assert gradient.isfinite().all()


def test_tokens_that_the_teacher_rules_out_leave_the_forward_kl_exact():
    student, teacher = pair(4, 9)
    teacher[:, [2, 5]] = -torch.inf
    p, q = probabilities(teacher), probabilities(student)
    safe = np.where(p > 0, p, 1)
    expected = np.where(p > 0, p * np.log(safe / q), 0).sum(-1).mean()
    assert forward_kl(student, teacher).item() == pytest.approx(expected, rel=1e-12)


def test_tokens_that_both_rule_out_change_nothing():
    student, teacher = pair(4, 9)
    hole = torch.full((4, 2), -torch.inf, dtype=torch.float64)
    for divergence in DENSE:
        wider = divergence(torch.cat([student, hole], -1), torch.cat([teacher, hole], -1))
        torch.testing.assert_close(wider, divergence(student, teacher))


def test_reverse_kl_pushes_the_student_off_tokens_that_the_teacher_rules_out():
    student, teacher = torch.zeros(1, 4), torch.tensor([[0.0, 0.0, 0.0, -torch.inf]])
    _, (gradient, _) = loss_and_gradients(reverse_kl, student, teacher)
    assert gradient[0, 3] > 100
    assert (gradient[0, :3] < 0).all()


@every_dense
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(divergence, dtype):
    student, teacher = pair(2, 3, 500, dtype=dtype)
    half = divergence(student, teacher)
    assert half.dtype == torch.float32
    assert half == divergence(student.float(), teacher.float())


def test_a_whole_large_vocabulary_in_float32_agrees_with_float64():
    student, teacher = pair(2, 20_000, scale=4.0)
    for divergence in DENSE:
        single = divergence(student.float(), teacher.float()).item()
        assert single == pytest.approx(divergence(student, teacher).item(), rel=1e-5)


# The teacher's top k with a tail


@every_sparse
def test_top_k_of_the_whole_vocabulary_is_the_dense_divergence(sparse, dense):
    student, teacher = pair(3, 4, 9)
    ours, (gradient,) = loss_and_gradients(sparse, student, teacher=top_k(teacher, 9))
    expected, (expected_gradient, _) = loss_and_gradients(dense, student, teacher)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_top_k_equals_the_divergence_of_the_bucketed_distributions(k):
    student, teacher = pair(3, 4, 9)
    q, p = probabilities(student), probabilities(teacher)
    order = np.argsort(-p, axis=-1)[..., :k]
    kept_p, kept_q = np.take_along_axis(p, order, -1), np.take_along_axis(q, order, -1)
    p = np.concatenate([kept_p, 1 - kept_p.sum(-1, keepdims=True)], -1)
    q = np.concatenate([kept_q, 1 - kept_q.sum(-1, keepdims=True)], -1)
    m = (p + q) / 2
    kept = top_k(teacher, k)
    assert sparse_forward_kl(student, kept).item() == pytest.approx((p * np.log(p / q)).sum(-1).mean(), rel=1e-9)
    assert sparse_reverse_kl(student, kept).item() == pytest.approx((q * np.log(q / p)).sum(-1).mean(), rel=1e-9)
    expected = ((p * np.log(p / m)).sum(-1) + (q * np.log(q / m)).sum(-1)).mean() / 2
    assert sparse_generalized_js(student, kept).item() == pytest.approx(expected, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(finite_logits, finite_logits)
def test_more_kept_tokens_never_lower_the_divergence_and_never_pass_the_dense_one(student, teacher):
    student, teacher = torch.from_numpy(student), torch.from_numpy(teacher)
    for sparse, dense in SPARSE.items():
        growing = [0.0, *(sparse(student, top_k(teacher, k)).item() for k in range(1, 8))]
        growing.append(dense(student, teacher).item())
        assert all(later >= earlier - 1e-9 for earlier, later in pairwise(growing))


@settings(max_examples=60, deadline=None)
@given(finite_logits, st.integers(1, 6))
def test_kept_tokens_and_tail_hold_all_probability(teacher, k):
    kept = top_k(torch.from_numpy(teacher), k)
    total = kept.log_probs.exp().sum(-1) + kept.tail_log_prob.exp()
    torch.testing.assert_close(total, torch.ones_like(total))
    assert (kept.log_probs.diff(dim=-1) <= 0).all()


def test_a_tail_far_below_rounding_is_still_exact():
    kept = top_k(torch.tensor([[0.0, -40.0, -41.0]], dtype=torch.float64), 1)
    expected = math.log(math.exp(-40) + math.exp(-41))
    assert kept.tail_log_prob.item() == pytest.approx(expected, abs=1e-12)


def test_a_top_k_stored_in_half_precision_is_near_the_dense_divergence():
    student, teacher = pair(2, 3, 50, scale=1.0)
    kept = top_k(teacher, 50)
    stored = TopK(kept.indices, kept.log_probs.half(), kept.tail_log_prob.half())
    assert stored.tail_log_prob.isneginf().all()
    loss, (gradient,) = loss_and_gradients(sparse_forward_kl, student.float(), teacher=stored)
    assert loss.item() == pytest.approx(forward_kl(student, teacher).item(), rel=1e-2)
    assert gradient.isfinite().all()


# Mistakes


@every_dense
def test_another_vocabulary_is_refused_in_one_sentence(divergence):
    with pytest.raises(ModelError, match="share one vocabulary"):
        divergence(logits(2, 3, 7), logits(2, 3, 8))


def test_a_top_k_of_other_tokens_is_refused_in_one_sentence():
    with pytest.raises(ModelError, match="give both the same sequence"):
        sparse_forward_kl(logits(2, 3, 7), top_k(logits(2, 4, 7), 2))


@pytest.mark.parametrize("k", [0, 8])
def test_a_k_outside_the_vocabulary_is_refused_in_one_sentence(k):
    with pytest.raises(RecipeError, match="choose one from 1 to 7"):
        top_k(logits(2, 7), k)


@pytest.mark.parametrize(
    ("divergence", "option"), [(generalized_js, "beta"), (skewed_forward_kl, "skew"), (skewed_reverse_kl, "skew")]
)
@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_share_outside_its_range_is_refused_in_one_sentence(divergence, option, value):
    with pytest.raises(RecipeError, match=f"{option} = {value} cannot be"):
        divergence(*pair(2, 7), **{option: value})
