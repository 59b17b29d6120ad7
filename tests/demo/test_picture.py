import struct

from stillroom.bench.tasks import kind_of, load_suite
from stillroom.demo.picture import VIEWS, draw


def test_every_view_is_a_series_of_the_suite():
    tasks = {task.id: task for task in load_suite("demo-forecast").tasks}
    for view in VIEWS:
        window, _ = kind_of("forecast").load(tasks[view.task]).windows[-1]
        [item] = [item for item in window.past if item.item_id == view.item]
        assert item.length >= view.steps


def test_a_picture_is_a_png_that_grows_with_its_views(tour):
    one, three = draw(tour.model, VIEWS[2:3]), draw(tour.model, VIEWS[2:5])
    assert one.startswith(b"\x89PNG\r\n")
    (width, height), (wider, higher) = struct.unpack(">II", one[16:24]), struct.unpack(">II", three[16:24])
    assert wider == 2 * width
    assert higher == 2 * height


def test_the_same_forecasts_make_the_same_picture(tour):
    assert draw(tour.model, VIEWS[3:4]) == draw(tour.model, VIEWS[3:4])
