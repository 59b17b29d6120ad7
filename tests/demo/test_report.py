import re
from base64 import b64decode
from dataclasses import replace

from stillroom.demo import adapt, report
from stillroom.demo.tour import Result, Table


def test_the_page_holds_every_number_that_was_computed(tour):
    result = adapt.run(tour, series=6, steps=2)
    tour.keep("adapt", result)
    report.run(tour, views=1)
    page = (tour.out / "index.html").read_text()
    for table in result.tables:
        for row in table.rows:
            assert "".join(f"<td>{cell}</td>" for cell in row) in page
    assert f"{result.numbers['after']['tiny']['WQL']:.4f}" in page


def test_the_page_needs_nothing_beside_it(tour):
    report.run(tour, views=1)
    page = (tour.out / "index.html").read_text()
    [picture] = re.findall(r'src="([^"]*)"', page)
    assert b64decode(picture.removeprefix("data:image/png;base64,")) == (tour.out / "forecasts.png").read_bytes()
    assert "http" not in page
    assert "<script" not in page
    assert "<link" not in page


def test_chapters_that_have_not_run_with_these_weights_are_left_out_and_named(tour):
    replace(tour, weights="others").keep("adapt", Result("Adapted others", [""]))
    tour.keep("forecast", Result("Forecast these", [""]))
    result = report.run(tour, views=1)
    page = (tour.out / "index.html").read_text()
    assert "Forecast these" in page
    assert "Adapted others" not in page
    assert result.numbers["left_out"] == [chapter for chapter in report.BEFORE if chapter != "forecast"]


def test_what_is_said_is_text_and_never_markup(tour):
    result = Result("<i>", ["a < b"], [Table("R&D", ["<b>"], [["1 < 2"]])])
    page = report.page(tour, [result], b"")
    assert "a &lt; b" in page
    assert "R&amp;D" in page
    assert "<i>" not in page
    assert "<b>" not in page.replace("<b>tiny</b>", "")


def test_a_result_comes_back_as_it_was_kept(tour):
    result = Result("A title", ["One.", "Two."], [Table("t", ["a", "b"], [["1", "2"]])], {"WQL": 0.5}, ["x"])
    tour.keep("adapt", result)
    assert tour.kept("adapt") == result
    assert tour.kept("distill") is None
