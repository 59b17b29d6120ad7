from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.core.errors import RecipeError
from stillroom.teacher.prices import OVERHEAD, PICO, Price, dollars, price_of, published, usd

TOKENS = st.integers(0, 10**7)
CENTS = st.decimals(0, 200, places=4).map(float)  # as prices are written


@st.composite
def priced(draw, **fixed):
    names = {"input": CENTS, "cached_input": CENTS, "output": CENTS, "batch": st.sampled_from([0.5, 0.8, 1.0])}
    return Price(**{name: draw(values) for name, values in names.items()} | fixed)


def test_calls_cost_what_a_pocket_calculator_says():
    mini = price_of("gpt-4o-mini")
    assert mini.cost(1000, 200) == 270_000_000  # 1,000 at 0.15 and 200 at 0.60 a million: $0.00027
    assert mini.cost(1000, 200, 800) == 210_000_000  # 800 of them at 0.075
    assert mini.cost(1000, 200, batch=True) == 135_000_000
    assert Price(input=0.02, output=0).cost(1, 0) == 20_000
    assert price_of("gpt-6-sol").cost(2000, 0, written_tokens=1000) == 1000 * 2_000_000 + 1000 * 2_500_000


def test_the_dearest_input_bounds_a_reservation():
    assert Price(input=1, cached_input=0.1, output=10).reservation(100, 7, overhead=0) == 170_000_000
    assert Price(input=1, cached_input=3, output=10).reservation(100, 7, overhead=0) == 370_000_000
    assert Price(input=1, output=10, cache_write=1.25).reservation(100, 7, overhead=0) == 195_000_000
    assert Price(input=1, output=0).reservation(0, 0) == OVERHEAD * 10**6
    assert Price(input=1, output=10, batch=0.5).reservation(100, 7, overhead=0, batch=True) == 85_000_000


@given(st.data(), st.sampled_from([1.0, 1.25]), st.booleans())
def test_no_usage_within_its_bounds_costs_more_than_was_reserved(data, cache_write, batch):
    price = data.draw(priced(cache_write=cache_write))
    size, most, overhead = data.draw(st.tuples(TOKENS, TOKENS, st.integers(0, 512)))
    prompt = data.draw(st.integers(0, size + overhead))
    cached = data.draw(st.integers(0, prompt))
    written = data.draw(st.integers(0, prompt - cached))
    billed = price.cost(prompt, data.draw(st.integers(0, most)), cached, written_tokens=written, batch=batch)
    assert billed <= price.reservation(size, most, overhead=overhead, batch=batch)


@given(priced(), st.tuples(TOKENS, TOKENS, TOKENS), st.tuples(TOKENS, TOKENS, TOKENS))
def test_costs_add_up_and_grow(price, one, other):
    costs = [price.cost(plain + cached, out, cached) for plain, out, cached in (one, other)]
    plain, out, cached = map(sum, zip(one, other, strict=True))
    assert price.cost(plain + cached, out, cached) == sum(costs) >= max(costs)


@given(
    st.floats(0, 1000, allow_subnormal=False), st.floats(0, 1000, allow_subnormal=False), TOKENS, TOKENS, st.booleans()
)
def test_costs_are_exact_to_the_picodollar_and_rounded_up(input_usd, output_usd, prompt, completion, batch):
    price = Price(input=input_usd, output=output_usd, batch=0.3)
    exact = (prompt * Fraction(repr(input_usd)) + completion * Fraction(repr(output_usd))) / 10**6 * PICO
    assert price.cost(prompt, completion, batch=batch) == math.ceil(exact * (Fraction(3, 10) if batch else 1))


@given(st.text(max_size=300))
def test_texts_have_no_more_tokens_than_bytes(text):
    pre_tokenizers = pytest.importorskip("tokenizers.pre_tokenizers")
    # Where a byte-level BPE starts, one token a byte; its merges only make fewer.
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    assert sum(len(piece) for piece, _ in pieces) == len(text.encode())


def test_cached_tokens_get_no_second_discount_in_a_batch():
    price = Price(input=1, cached_input=0.1, output=0, batch=0.5)
    assert price.cost(1000, 0, 1000, batch=True) == price.cost(1000, 0, batch=True)


def test_a_report_that_contradicts_itself_costs_no_less_than_its_parts():
    price = Price(input=1, cached_input=0.1, output=0)
    assert price.cost(0, 0, 1000) == price.cost(1000, 0, 1000)


def test_cached_tokens_cost_as_others_unless_it_is_said():
    assert Price(input=0.3, output=1).cached_input == 0.3
    assert Price(input=0.3, cached_input=0, output=1).cached_input == 0


def test_a_batch_needs_an_endpoint():
    for call in (Price(input=1, output=1).cost, Price(input=1, output=1).reservation):
        with pytest.raises(RecipeError, match="no batch endpoint is known for this model"):
            call(1, 1, batch=True)


def test_prompts_that_may_pass_the_length_of_a_price_are_refused():
    price = Price(input=1, output=1, longest_prompt=1000)
    assert price.reservation(900, 1, overhead=100)
    with pytest.raises(RecipeError, match=r"901 bytes may pass 1,000 tokens.*--input-usd"):
        price.reservation(901, 1, overhead=100)


def test_our_table_says_when_and_where_prices_were_read_and_none_is_out_of_order():
    table = published()
    assert table.as_of
    assert all(page.startswith("https://") for page in table.sources.values())
    for name, price in table.models.items():
        assert 0 < price.cached_input <= price.input <= price.output, name
        assert price.batch in (None, 0.5), name


def test_names_are_found_without_provider_and_date():
    price = price_of("gpt-4o")
    assert price_of("openai/gpt-4o") == price_of("gpt-4o-2024-08-06") == price_of("azure/gpt-4o-2024-08-06") == price
    assert price_of("claude-sonnet-4-5-20250929") == price_of("claude-sonnet-4-5")
    assert price_of("gpt-4o-2024-05-13").input == 5  # an exact name goes first
    assert price_of("openai/gpt-oss-20b").input == 0.075


def test_the_user_s_table_goes_before_ours(tmp_path):
    file = tmp_path / "prices.yaml"
    file.write_text("models:\n  gpt-4o: {input: 1, output: 2}\n  mine: {input: 0, output: 0}\n")
    assert price_of("openai/gpt-4o", file) == Price(input=1, output=2)
    assert price_of("mine", str(file)).cost(10**9, 10**9) == 0
    assert price_of("gpt-4o-mini", file) == price_of("gpt-4o-mini")
    assert price_of("gpt-4o", {"models": {"gpt-4o": {"input": 7, "output": 7}}}).input == 7


def test_prices_that_are_given_go_before_tables():
    given_price = price_of("gpt-4o", input_usd=0.5, output_usd=1)
    assert given_price == Price(input=0.5, cached_input=0.5, output=1)
    assert price_of("unheard-of", input_usd=0, cached_usd=0, output_usd=0).cost(5, 5, 5) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"model": "gtp-4o-mini"},
            r"no price for 'gtp-4o-mini' \(.* gpt-4o-mini.*\): give one with --prices",
        ),
        ({"model": "zzz"}, r"no price for 'zzz': give one"),
        ({"model": "gpt-4o", "input_usd": 1}, "needs both --input-usd and --output-usd"),
        ({"model": "gpt-4o", "cached_usd": 1}, "needs both --input-usd and --output-usd"),
        ({"model": "x", "input_usd": -1, "output_usd": 1}, "input: Input should be greater than or equal to 0"),
        ({"model": "x", "table": {"models": {"x": {"inptu": 1, "input": 1, "output": 1}}}}, "did you mean 'input'"),
        ({"model": "x", "table": {"models": {}, "modles": {}}}, "did you mean 'models'"),
        ({"model": "x", "table": "nowhere.yaml"}, "nowhere.yaml"),
        ({"model": "x", "table": {"models": {"x": {"input": float("inf"), "output": 1}}}}, "finite"),
    ],
)
def test_what_cannot_be_priced_is_one_sentence(options, sentence):
    with pytest.raises(RecipeError, match=sentence) as error:
        price_of(**options)
    assert "\n" not in str(error.value)


def test_money_is_printed_with_the_digits_that_matter():
    amounts = {0: "$0.00", 12_300_000_000: "$0.0123", 45_000_000: "$0.0000450", 12_345 * 10**11: "$1,234.50"}
    assert [dollars(pico) for pico in amounts] == list(amounts.values())
    assert usd(12_300_000_000) == 0.0123
