"""Drawings: what stands where, what is read out, and that nothing is drawn that is not so."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.bench.examples import Band, Example, Line, Span
from stillroom.bench.report.charts import LINE, Point, front, tradeoff, whiskers
from stillroom.bench.report.heatmap import EDGES, SHADES, shade
from stillroom.bench.report.pictures import RIGHT, WIDTH, legend, picture, thin
from stillroom.bench.report.svg import Scale, round_numbers, short, tag


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(str(svg))


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [element for element in root.iter() if name in element.get("class", "").split()]


def points_of(path: ET.Element) -> np.ndarray:
    return np.array([[float(v) for v in pair.split()] for pair in re.split("[ML]", path.get("d").rstrip("Z"))[1:]])


def test_text_and_attributes_are_escaped():
    root = parsed(tag("text", "<b> & 'x'", data_name='"<script>'))
    assert root.text == "<b> & 'x'"
    assert root.get("data-name") == '"<script>'


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_few_round_and_inside(low, width, most):
    ticks = round_numbers(low, low + width, most)
    assert 1 <= len(ticks) <= most
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in ticks)
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[:1])


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e9), st.integers(3, 8))
def test_log_ticks_are_few_and_inside(low, ratio, most):
    ticks = Scale(low, low * ratio, 0, 100, "log").ticks(most)
    assert len(ticks) <= most
    assert all(low * (1 - 1e-9) <= tick <= low * ratio * (1 + 1e-9) for tick in ticks)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.85, "0.85"), (0, "0"), (1500, "1,500"), (20000, "20k"), (3.2e6, "3.2M"), (-40, "−40"), (2e-5, "2e−5")],
)
def test_numbers_on_axes_are_short(value, text):
    assert short(value) == text


def test_whiskers_share_one_log_scale_and_say_their_numbers():
    axis, rows = whiskers([("good", 0.5, 0.4, 0.6), ("same", 1.0, 0.8, 1.25), ("bad", 2.0, 1.5, 3.0)], "WQL")
    assert parsed(axis).get("aria-label").startswith("Scale")
    roots = [parsed(row) for row in rows]
    assert roots[0].get("aria-label") == "good: relative WQL 0.500, 95 % interval 0.400 to 0.600"
    dots = [float(of_class(root, "dot")[0].get("cx")) for root in roots]
    assert dots[1] - dots[0] == pytest.approx(dots[2] - dots[1], abs=0.2)  # half and double are equally far from 1
    one = {float(of_class(root, "one")[0].get("x1")) for root in roots}
    assert one == {dots[1]}
    assert [of_class(root, "dot")[0].get("class") for root in roots] == ["dot better", "dot", "dot worse"]


def test_without_an_interval_there_is_a_dot_alone():
    _, (row,) = whiskers([("one-task", 0.5, float("nan"), float("nan"))], "WQL")
    assert not of_class(parsed(row), "whisker")
    assert "interval" not in parsed(row).get("aria-label")


def test_the_front_is_who_nobody_beats_in_both():
    cheap, middle, worse, best = (
        Point("cheap", 0, 1.0, 3), Point("middle", 2, 0.8, 2), Point("worse", 3, 0.9, 4), Point("best", 9, 0.5, 1),
    )  # fmt: skip
    assert front([worse, best, cheap, middle]) == [cheap, middle, best]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=20))
def test_the_front_is_that_of_the_definition_reference(pairs):
    points = [Point(str(i), float(cost), float(score), i) for i, (cost, score) in enumerate(pairs)]

    def beaten(point):
        return any(
            p.cost <= point.cost and p.score <= point.score and (p.cost, p.score) != (point.cost, point.score)
            for p in points
        )

    assert set(front(points)) == {point for point in points if not beaten(point)}


def test_models_without_a_cost_stand_in_a_strip_of_their_own():
    points = [Point("free", 0, 1.0, 3, baseline=True), Point("a", 4, 0.9, 2), Point("b", 400, 0.5, 1)]
    root = parsed(tradeoff("k", points, "MB on disk", "relative WQL", "none"))
    texts = [element.text for element in root.iter("text")]
    assert {"free", "a", "b", "none"} <= set(texts)
    assert "MB on disk · lower is better ←" in texts
    baseline = of_class(root, "baseline")[0].get("d")
    circles = [float(circle.get("cx")) for circle in root.iter("circle")]
    assert float(baseline[1:].split()[0]) < min(circles)
    assert root.get("role") == "img"
    described = {element.get("id") for element in root if element.tag in ("title", "desc")}
    assert described == {root.get("aria-labelledby"), root.get("aria-describedby")}


@given(st.lists(st.tuples(st.just(0.0) | st.floats(1e-6, 1e4), st.floats(0.01, 100)), min_size=1, max_size=40))
def test_labels_never_cover_one_another(pairs):
    points = [Point(f"owner/some-model-{i}", cost, score, i + 1) for i, (cost, score) in enumerate(pairs)]
    root = parsed(tradeoff("k", points, "seconds", "relative WQL", "no time"))
    boxes = [(float(e.get("x")), float(e.get("y")), 6.3 * len(e.text)) for e in of_class(root, "name")]
    for i, (x, y, width) in enumerate(boxes):
        for other_x, other_y, other_width in boxes[i + 1 :]:
            apart = x + width <= other_x + 0.2 or other_x + other_width <= x + 0.2 or abs(y - other_y) >= LINE - 0.2
            assert apart


def test_shades_are_the_same_on_both_sides_of_one():
    assert shade(1.0) == "even"
    for edge, better, worse in zip(EDGES, SHADES[:4], reversed(SHADES[5:]), strict=True):
        assert shade(edge * 0.999) == better
        assert shade(1 / edge * 1.001) == worse
    assert shade(0.01) == SHADES[0]
    assert shade(100) == SHADES[-1]


def forecast(**changes) -> Example:
    steps = np.arange(1, 4)
    values = {
        "rank": "worst",
        "item": "shop <1>",
        "metric": "MASE",
        "value": 1.5,
        "lines": (
            Line("history", "history", np.arange(-4, 1), np.array([1.0, 2, np.nan, 4, 5])),
            Line("what came", "truth", np.arange(0, 4), np.array([5.0, 6, 7, 8])),
            Line("median", "prediction", steps, np.array([5.5, 5.5, 5.5])),
        ),
        "bands": (Band("80 % band", steps, np.array([4.0, 4, 4]), np.array([7.0, 7, 7])),),
    }
    return Example(**{**values, **changes})


def test_a_forecast_is_drawn_where_its_values_are():
    root = parsed(picture("k", forecast()))
    truth, median = (points_of(of_class(root, role)[0]) for role in ("truth", "prediction"))
    assert truth[0, 0] < median[0, 0]  # step 0 and step 1
    assert truth[-1, 0] == median[-1, 0] == WIDTH - RIGHT
    assert (np.diff(truth[:, 1]) < 0).all()  # rises: the y of a screen falls
    assert np.ptp(median[:, 1]) == 0
    band = points_of(of_class(root, "band")[0])
    assert band[:, 1].min() < median[0, 1] < band[:, 1].max()


def test_a_missing_value_is_a_gap_and_a_lonely_one_a_dot():
    path = of_class(parsed(picture("k", forecast())), "history")[0].get("d")
    assert path.count("M") == 2
    values = np.array([np.nan, 3.0, np.nan, 4.0, 5.0])
    lines = (Line("observed", "history", np.arange(5), values),)
    root = parsed(picture("k", forecast(lines=lines, bands=())))
    assert [element.tag for element in of_class(root, "history")] == ["circle", "path"]


def test_scores_and_their_threshold_lie_below_on_an_axis_of_their_own():
    steps = np.arange(50)
    lines = (
        Line("series", "history", steps, 1000 + np.sin(steps)),
        Line("score", "score", steps, np.linspace(0, 1, 50)),
        Line("threshold", "threshold", steps, np.full(50, 0.9)),
    )
    example = forecast(lines=lines, bands=(), spans=(Span("anomaly", 45, 45),))
    root = parsed(picture("k", example))
    series, score, threshold = (points_of(of_class(root, line.role)[0]) for line in lines)
    assert series[:, 1].max() < score[:, 1].min()
    assert score[:, 1].min() < threshold[0, 1] < score[:, 1].max()
    span = of_class(root, "span")[0]
    assert float(span.get("width")) >= 2  # one step of many can still be seen
    middle = float(span.get("x")) + float(span.get("width")) / 2
    assert middle == pytest.approx(series[45, 0], abs=0.2)
    assert [name for _, name in legend([example])] == ["series", "score", "threshold", "anomaly"]


def test_the_picture_is_also_told_in_words():
    root = parsed(picture("k", forecast(spans=(Span("gap", 1, 2),))))
    title, desc = root[0], root[1]
    assert title.text == "shop <1>, the worst by MASE (1.5)"
    assert "what came: steps 0 to 3, between 5 and 8, 6.5 on average" in desc.text
    assert "80 % band: 3 wide on average" in desc.text
    assert "gap: steps 1 to 2" in desc.text


def test_variables_of_one_series_take_turns_in_how_they_look():
    lines = tuple(Line(f"variable {n}", "history", np.arange(3), np.arange(3.0) + n) for n in range(1, 4))
    example = forecast(lines=lines, bands=())
    looks = [look for look, _ in legend([example])]
    assert len(set(looks)) == 3
    drawn = [e.get("class") for e in parsed(picture("k", example)).iter("path")]
    assert drawn == [f"line {look}" for look in looks]
    many = tuple(Line(f"variable {n}", "history", np.arange(3), np.arange(3.0)) for n in range(1, 13))
    assert [name for _, name in legend([forecast(lines=many, bands=())])] == ["variable 1 to variable 12"]


@given(st.integers(3, 5000), st.integers(0, 2**16))
def test_a_thinned_line_keeps_its_extremes_and_its_order(length, seed):
    values = np.random.default_rng(seed).normal(size=length)
    x, y = thin(np.arange(length), values, 200)
    assert len(x) <= 200
    assert (np.diff(x) > 0).all()
    assert y.min() == values.min()
    assert y.max() == values.max()


def test_a_long_series_with_gaps_stays_small():
    values = np.random.default_rng(0).normal(size=100_000)
    values[40_000:60_000] = np.nan
    lines = (Line("series", "history", np.arange(100_000), values),)
    svg = picture("k", forecast(lines=lines, bands=()))
    assert len(svg) < 20_000
    path = of_class(parsed(svg), "history")[0].get("d")
    assert path.count("M") == 2


@pytest.mark.parametrize(
    "lines",
    [
        (Line("one", "history", np.array([7]), np.array([3.0])),),
        (Line("flat", "history", np.arange(5), np.zeros(5)),),
        (Line("empty", "history", np.arange(5), np.full(5, np.nan)),),
        (Line("huge", "history", np.arange(5), np.arange(5) * 1e300),),
    ],
    ids=["one value", "constant", "all missing", "huge"],
)
def test_what_is_hard_to_scale_is_drawn_all_the_same(lines):
    root = parsed(picture("k", forecast(lines=lines, bands=())))
    drawn = [float(v) for e in root.iter() for k, v in e.attrib.items() if k in ("x", "y", "x1", "x2", "y1", "y2")]
    assert np.isfinite(drawn).all()
    assert min(drawn) >= 0
    assert max(drawn) <= WIDTH
