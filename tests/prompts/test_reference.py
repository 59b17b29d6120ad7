"""Reference mode against the installed llmlingua: everything it returns, over a grid of its options.

The models are random, tiny, and saved to folders that llmlingua takes for mBERT and XLM-R. Only its tiktoken is
replaced, whose encodings need the network.
"""

import gc
import itertools
import random
import re
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError, ModelError, RecipeError, UserError
from stillroom.prompts import reference
from stillroom.prompts.reference.scores import _widened, with_placeholders

llmlingua = pytest.importorskip("llmlingua", reason="llmlingua 0.2.2 is not installed")

ENGLISH = (
    "The committee (all 12 members) agreed, after a long debate, that the budget of $3.5 million must not rise. Yes"
)
GERMAN = "Die Straßenbahn fährt über die Brücke; niemand weiß, ob sie um 17:45 Uhr zurückkehrt. Größer als gedacht?"
CJK = "会议讨论了预算问题。委员会一致同意，不增加开支。日本語のテキストもあります。"
DIGITS = "In 2024 it cost 1,299.00 EUR; in 2023 only 899. Version v2.0.1 of 10/11/12 has 64 bits."
LINES = "First line.\nSecond line!\n\n\tIndented\nLast line without an end\n"
UNKNOWN = "Ωμέγα the ☃ budget 🙂 Ж of the committee"
LITERAL = "[CLS] a [PAD] b [NEW3] c <s> d <pad> e </s> ##ing ▁ f [UNK] <unk> () _ # g"
LONG = " ".join(f"{ENGLISH} {GERMAN} Number {i} of many." for i in range(11)) + "\n" + LINES
TEXTS = {
    "english": ENGLISH,
    "german": GERMAN,
    "cjk": CJK,
    "digits": DIGITS,
    "lines": LINES,
    "unknown": UNKNOWN,
    "literal": LITERAL,
    "long": LONG,
    "without an end": LONG.replace(".", " "),
    "empty": "",
    "blank": " \n ",
    "one word": "budget",
    "repeats": "yes. . . yes! yes , , no no . \n \n . the the the",
}
SHORT = [ENGLISH, GERMAN, CJK, DIGITS, LINES]
CONTEXTS = [*SHORT, LONG]
RATES = [0.1, 0.2, 0.25, 0.3, 0.33, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.99, 1.0]
FORCED = {
    "none": [],
    "newline": ["\n"],
    "marks": [".", "!", "?", ",", "\n"],
    "several pieces": ["The committee", "Second line", "Number", "of", "Straße", "的", "12"],
    "inside words": ["ing", "e", "t", "##", "▁the"],
    "twice": ["the committee", "budget", "the committee"],
    "overlapping": ["long debate", "long", "E", "1"],
}
OPTIONS = {
    "rate": RATES,
    "target_token": [-1, -1, -1, 0, 1, 7, 25, 60, 400, 10_000],
    "force_tokens": list(FORCED.values()),
    "force_reserve_digit": [False, True],
    "drop_consecutive": [False, True],
    "chunk_end_tokens": [[".", "\n"], ["."], ["\n", "Second line"], [",", "the committee"], []],
    "token_to_word": ["mean", "first"],
    "return_word_label": [True, True, False],
    "word_sep": ["\t\t|\t\t", "|"],
    "label_sep": [" ", "/"],
    "use_token_level_filter": [True, True, True, False],
    "use_context_level_filter": [False, True],
    "target_context": [-1, -1, 0, 1, 3, 50],
    "context_level_rate": [1.0, 1.0, 0.3, 0.5, 0.8],
    "context_level_target_token": [-1, -1, 0, 30, 200, 5000],
    "force_context_ids": [None, [], [0], [1, 4]],
}
FAILURES = (AssertionError, IndexError, ValueError, ZeroDivisionError)


def encode(text):
    """A stand-in for tiktoken: pieces of four letters, digits by three, marks and white space alone."""
    return re.findall(r" ?[^\W\d]{1,4}|\d{1,3}|[^\w\s]|\s|_", text)


def count(text):
    return len(encode(text))


def vocabulary():
    """Return the first parts of words, the rest of them, and characters; every fifth character is unknown."""
    words = sorted({word for text in CONTEXTS for word in re.findall(r"\w+|[^\w\s]", text)})
    characters = [character for i, character in enumerate(sorted(set("".join(words)) | set("▁#()_"))) if i % 5]
    heads = dict.fromkeys([*words[::2], *(word[:3] for word in words)])
    tails = dict.fromkeys(word[3:] for word in words if len(word) > 3)
    return list(heads), list(tails), characters


def wordpiece(folder):
    from transformers import BertTokenizer

    heads, tails, characters = vocabulary()
    pieces = [*heads, *(f"##{piece}" for piece in [*tails, *characters]), *characters]
    names = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces])
    BertTokenizer(vocab={name: i for i, name in enumerate(names)}, do_lower_case=False).save_pretrained(folder)


def unigram(folder):
    from transformers import XLMRobertaTokenizer

    heads, tails, characters = vocabulary()
    names = dict.fromkeys(["▁", *(f"▁{head}" for head in heads), *tails, *characters])
    pieces = [(name, -8.0 - 0.1 * i) for i, name in enumerate(sorted(names, key=len, reverse=True))]
    special = [(name, 0.0) for name in ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]]
    XLMRobertaTokenizer(vocab=special + pieces).save_pretrained(folder)


def save(folder, tokenizer, config, **sizes):
    import torch
    import transformers

    tokenizer(folder)
    own = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        small = getattr(transformers, f"{config}Config")(
            vocab_size=len(own),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=32,
            initializer_range=0.6,
            num_labels=2,
            **sizes,
        )
        getattr(transformers, f"{config}ForTokenClassification")(small).save_pretrained(folder)


def load(folder):
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("reference")
    mbert, xlmr = root / "llmlingua-2-bert-base-multilingual-cased", root / "llmlingua-2-xlm-roberta-large"
    save(mbert, wordpiece, "Bert", max_position_embeddings=512)
    save(xlmr, unigram, "XLMRoberta", max_position_embeddings=514, pad_token_id=1, bos_token_id=0, eos_token_id=2)
    return {"mbert": mbert, "xlmr": xlmr}


@pytest.fixture(scope="module")
def peers(folders):
    """Each model as llmlingua holds it, and as we do."""
    from llmlingua import prompt_compressor

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", "42")  # its constructor sets it; undone with the patch
        patch.setattr(prompt_compressor.tiktoken, "encoding_for_model", lambda name: SimpleNamespace(encode=encode))
        return {
            name: SimpleNamespace(
                theirs=prompt_compressor.PromptCompressor(str(folder), device_map="cpu", use_llmlingua2=True),
                ours=load(folder),
            )
            for name, folder in folders.items()
        }


@pytest.fixture(params=["mbert", "xlmr"])
def peer(request, peers):
    return peers[request.param]


def assert_same(peer, context, **options):
    """Both return the same; where llmlingua ends in a traceback, ours ends in a sentence."""
    try:
        theirs = peer.theirs.compress_prompt_llmlingua2(context, **options)
    except FAILURES:
        with pytest.raises(UserError):
            reference.compress(*peer.ours, context, count=count, **options)
        return None
    ours = reference.compress(*peer.ours, context, count=count, **options)
    assert ours == theirs, options
    return ours


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_reference_at_every_rate(peer, text):
    for rate in [*RATES, 0, 1.5, -0.1]:
        assert_same(peer, text, rate=rate, return_word_label=True)


@pytest.mark.parametrize("forced", FORCED.values(), ids=FORCED)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_reference_with_forced_tokens(peer, text, forced):
    for rate, drop, digits in [(0.3, True, False), (0.6, False, True), (1.0, False, False)]:
        options = {"rate": rate, "drop_consecutive": drop, "force_reserve_digit": digits}
        assert_same(peer, text, force_tokens=forced, return_word_label=True, **options)


def test_reference_with_a_token_target(peer):
    for text, target in itertools.product(TEXTS.values(), [0, 1, 5, 20, 100, 1000]):
        assert_same(peer, text, target_token=target)


def test_reference_with_other_ends_of_chunks(peer):
    for text in (TEXTS["long"], TEXTS["without an end"], ". " + TEXTS["without an end"]):
        for ends in OPTIONS["chunk_end_tokens"]:
            assert_same(peer, text, chunk_end_tokens=ends, force_tokens=["Second line", "the committee"])


def test_reference_with_more_chunks_than_a_batch(peer):
    assert_same(peer, [f"{GERMAN} {i}" for i in range(53)], use_context_level_filter=True, return_word_label=True)


def test_reference_with_contexts_filtered(peer):
    dropped = 0
    targets = [{"rate": 0.3}, {"rate": 0.9}, {"rate": 1.0}, {"target_token": 0}, {"target_token": 60}]
    levels = [{}, {"context_level_rate": 0.4}, {"context_level_target_token": 60}]
    levels += [{"target_context": 0}, {"target_context": 2}, {"target_context": 2, "force_context_ids": [1]}]
    for target, level, words in itertools.product(targets, levels, [True, False]):
        options = {"return_word_label": True, "use_token_level_filter": words, **target, **level}
        result = assert_same(peer, SHORT, use_context_level_filter=True, **options)
        dropped += result is not None and len(result["compressed_prompt_list"]) < len(SHORT)
    assert dropped > 20


def test_reference_of_compress_prompt_filters_contexts_by_default(peer):
    theirs = peer.theirs.compress_prompt(CONTEXTS, rate=0.4)
    ours = reference.compress(*peer.ours, CONTEXTS, count=count, rate=0.4, use_context_level_filter=True)
    assert ours == theirs
    assert len(ours["compressed_prompt_list"]) < len(CONTEXTS)


@pytest.mark.parametrize("draws", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_reference_with_options_drawn_together(peer, draws):
    dice = random.Random(draws)
    compressed = 0
    for _ in range(draws):
        options = {name: dice.choice(values) for name, values in OPTIONS.items()}
        context = dice.choice([*TEXTS.values(), CONTEXTS, CONTEXTS[:2], dice.sample(list(TEXTS.values()), 4), []])
        result = assert_same(peer, context, **options)
        compressed += result is not None and 0 < result["compressed_tokens"] < result["origin_tokens"]
    assert compressed > draws / 3  # else agreement says little


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.sampled_from(" \n\t.,;:!?#()_'\"-▁[]<>0129aeionrstTHEßüλ会议。🙂"), max_size=60),
    rate=st.floats(0.01, 1.0),
    forced=st.lists(st.sampled_from(["\n", ".", "e", "th", "会", "in 20", "#", "", "▁", "Th"]), max_size=4),
    flags=st.tuples(st.booleans(), st.booleans()),
)
def test_reference_on_any_text(peer, text, rate, forced, flags):
    options = {"force_tokens": forced, "force_reserve_digit": flags[0], "drop_consecutive": flags[1]}
    assert_same(peer, text, rate=rate, return_word_label=True, **options)


def test_reference_draws_the_same_rows_for_placeholders(peer):
    model, tokenizer = peer.ours
    ours = _widened(model, len(with_placeholders(tokenizer))).get_input_embeddings().weight
    theirs = peer.theirs.model.get_input_embeddings().weight
    assert ours.shape == theirs.shape
    assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())


def test_model_tokenizer_and_generators_stay_as_they_were(folders):
    import torch

    model, tokenizer = load(folders["mbert"])
    before = len(tokenizer), model.config.vocab_size, {name: p.clone() for name, p in model.named_parameters()}
    torch.manual_seed(1), np.random.seed(2), random.seed(3)  # noqa: NPY002
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    reference.compress(model, tokenizer, LINES, count=count, force_tokens=["\n", "Second line"])
    assert (len(tokenizer), model.config.vocab_size) == before[:2]
    assert all(torch.equal(parameter, before[2][name]) for name, parameter in model.named_parameters())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]


def test_a_model_that_nobody_holds_is_let_go(folders):
    model, tokenizer = load(folders["xlmr"])
    reference.compress(model, tokenizer, LINES, count=count, force_tokens=["Second line"])
    gone = weakref.ref(model), weakref.ref(tokenizer)
    del model, tokenizer
    gc.collect()
    assert [one() for one in gone] == [None, None]


def test_threads_share_a_model(peer):
    work = [{"context": text, "force_tokens": ["\n", "the committee"]} for text in (ENGLISH, LINES, LONG, DIGITS)] * 3
    alone = [reference.compress(*peer.ours, count=count, **options) for options in work]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda options: reference.compress(*peer.ours, count=count, **options), work))
    assert together == alone


@pytest.mark.parametrize("kind", ["mbert", "xlmr"])
def test_a_renamed_folder_goes_by_the_kind_of_its_tokenizer(kind, peers, folders, tmp_path):
    renamed = tmp_path / "mine"
    renamed.symlink_to(folders[kind], target_is_directory=True)
    options = {"context": LINES + ENGLISH, "count": count, "return_word_label": True, "force_tokens": ["\n"]}
    assert reference.compress(*load(renamed), **options) == reference.compress(*peers[kind].ours, **options)


def test_mistakes_are_sentences(peer):
    model, tokenizer = peer.ours
    with pytest.raises(RecipeError, match="100 forced tokens"):
        reference.compress(model, tokenizer, ENGLISH, count=count, force_tokens=["a"] * 101)
    with pytest.raises(RecipeError, match="'mean' or 'first'"):
        reference.compress(model, tokenizer, ENGLISH, count=count, token_to_word="last")
    with pytest.raises(RecipeError, match="percentile 101"):
        reference.compress(model, tokenizer, ENGLISH, count=count, rate=0)
    with pytest.raises(DataError, match="without a word"):
        reference.compress(model, tokenizer, "[UNK]<unk>", count=lambda text: 0)


def test_a_model_in_bfloat16_is_refused(folders):
    import torch

    model, tokenizer = load(folders["mbert"])
    with pytest.raises(ModelError, match="float32"):
        reference.compress(model.to(torch.bfloat16), tokenizer, ENGLISH, count=count)


def test_a_tokenizer_of_another_kind_is_refused(folders, tmp_path):
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    model, _ = load(folders["mbert"])
    model.name_or_path = "mine"
    other = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab={"a": 0}, merges=[])), unk_token="a")
    with pytest.raises(ModelError, match="not for BPE"):
        reference.compress(model, other, ENGLISH, count=count)
