"""The report in a real browser: no errors, no requests; on a phone, by keyboard, in the light and in the dark."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from stillroom.bench import report
from stillroom.bench.executor import in_process
from stillroom.bench.keys import stem
from stillroom.bench.rows import write_row
from stillroom.bench.runner import make_plan, run
from stillroom.bench.tasks import load_suite, read_suite

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium, chromium-driver)"
)

CONTRAST = """
// The least contrast ratio (WCAG 2) between text and what lies behind it, with the text that has it.
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const parse = colour => {  // any CSS colour as r, g, b, alpha
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = "#000"; canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
};
const luminance = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const colour = parse(getComputedStyle(e).backgroundColor); if (colour[3] === 1) return colour;
  }
  return [255, 255, 255, 1];
};
let least = [99, ""];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].filter(n => n.nodeType === 3 && n.data.trim()).map(n => n.data.trim()).join(" ");
  if (!own || !element.checkVisibility() || element.closest("script, title, desc")) continue;
  const style = getComputedStyle(element);
  const colour = parse(element.closest("svg") ? style.fill : style.color);
  const [a, b] = [luminance(colour), luminance(behind(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < least[0]) least = [ratio, `${element.tagName} ${element.className} ${own}`];
}
return least;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """The address of a report: real pictures, many models with all shades, failures, skips and leaks."""
    out = tmp_path_factory.mktemp("scores")
    tasks = [
        task.model_dump(mode="json") for task in load_suite("demo-forecast").tasks if task.id in ("elnino", "nile")
    ]
    run(make_plan(read_suite({"tasks": tasks}, "demo"), ["auto-theta"], out), executor=in_process)
    random = np.random.default_rng(0)
    for task in (task["id"] for task in tasks):
        baseline = json.loads((out / "rows" / f"{stem(task, 'seasonal-naive')}.json").read_text())
        for number, ratio in enumerate((0.3, 0.6, 0.8, 0.9, 1.0, 1.1, 1.3, 1.7, 3.0)):
            name = f"some-owner/a-model-with-quite-a-long-name-{number}"
            ratio *= random.uniform(0.98, 1.02)
            metrics = {metric: value * ratio for metric, value in baseline["metrics"].items()}
            row = baseline | {
                "model": name,
                "metrics": metrics,
                "weights": "f" * 64,
                "bytes_on_disk": 10**6 * 4**number,
            }
            row |= {"leakage": number == 2, "inference_seconds": 0.5 * 2.0**number, "predictions": None}
            if number == 4 and task == "nile":
                row |= {"status": "failed", "metrics": {}, "reason": "ValueError: " + "a very long reason " * 12}
            write_row(out, stem(task, name), row)
            gone = {"task": "gone", "status": "skipped", "metrics": {}, "reason": "data: hub:nobody/gone is not here"}
            write_row(out, stem("gone", name), row | gone)
    return report.write(out).as_uri()


@pytest.fixture(scope="module")
def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def show(chromium, page: str, *, width: int = 1280, theme: str = "light"):
    features = [{"name": "prefers-color-scheme", "value": theme}]
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    chromium.get(page)
    return chromium


def open_all(chromium) -> None:
    chromium.execute_script("document.querySelectorAll('details').forEach(details => details.open = true)")


def test_nothing_is_asked_of_the_network_and_nothing_goes_wrong(chromium, page):
    chromium.get_log("browser"), chromium.get_log("performance")  # of pages before
    show(chromium, page)
    open_all(chromium)
    assert chromium.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert asked == [page]


@pytest.mark.parametrize("width", [360, 1280])
def test_only_boxes_of_their_own_scroll_sideways(chromium, page, width):
    show(chromium, page, width=width)
    open_all(chromium)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    wide = """
    return [...document.querySelectorAll("body *")].filter(e =>
      e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, pre, .hidden")
    ).map(e => e.outerHTML.slice(0, 80))"""
    assert chromium.execute_script(wide) == []
    text = """
    return Math.min(...[...document.querySelectorAll(".chart text, .picture text")].map(
      e => e.getBoundingClientRect().height))"""
    assert chromium.execute_script(text) >= 9


def test_every_box_that_scrolls_is_reached_by_the_keyboard(chromium, page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    show(chromium, page, width=360)
    seen = []
    for _ in range(200):
        ActionChains(chromium).send_keys(Keys.TAB).perform()
        element = chromium.switch_to.active_element
        if element.tag_name == "body":
            break
        name = element.get_attribute("aria-label") or element.text
        seen.append((element.tag_name, element.get_attribute("class"), name))
        assert chromium.execute_script("return getComputedStyle(arguments[0]).outlineStyle", element) == "solid"
    assert seen[0] == ("a", "skip", "Skip to the content")
    scrolling = """
    return [...document.querySelectorAll("*")].filter(e =>
      e.checkVisibility() && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "auto"
    ).map(e => e.getAttribute("aria-label"))"""
    scrolled = chromium.execute_script(scrolling)
    assert "Leaderboard of forecast" in scrolled
    assert set(scrolled) <= {name for _, _, name in seen}
    folded = chromium.execute_script("return document.querySelectorAll('summary').length")
    assert sum(tag == "summary" for tag, _, _ in seen) == folded


def test_details_open_by_the_keyboard(chromium, page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(chromium, page)
    details = chromium.find_element(By.CSS_SELECTOR, "details:not([open])")
    details.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert details.get_attribute("open") is not None


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_has_contrast(chromium, page, theme, width):
    show(chromium, page, theme=theme, width=width)
    open_all(chromium)
    shades = chromium.execute_script("return new Set([...document.querySelectorAll('td')].map(e => e.className)).size")
    assert shades >= 9
    ratio, text = chromium.execute_script(CONTRAST)
    assert ratio >= 4.5, text


def test_light_and_dark_are_two(chromium, page):
    colours = []
    for theme in ("light", "dark"):
        show(chromium, page, theme=theme)
        colours.append(chromium.execute_script("return getComputedStyle(document.body).backgroundColor"))
    light, dark = (sum(map(int, colour[4:-1].split(","))) for colour in colours)
    assert light > 3 * 200
    assert dark < 3 * 60


def test_the_leaderboard_is_sorted_by_a_click_and_back(chromium, page):
    from selenium.webdriver.common.by import By

    show(chromium, page)

    def column(number: int) -> list[str]:
        rows = "[...document.querySelectorAll('table.board tbody tr')]"
        return chromium.execute_script(f"return {rows}.map(row => row.cells[{number}].firstChild.data)")

    heads = chromium.find_elements(By.CSS_SELECTOR, "table.board thead th")
    seconds = len(heads) - 1
    best_first = column(3)
    assert best_first == sorted(best_first, key=float)
    button = heads[seconds].find_element(By.TAG_NAME, "button")
    button.click()
    assert column(seconds) == sorted(column(seconds), key=float)
    assert heads[seconds].get_attribute("aria-sort") == "ascending"
    button.click()
    assert column(seconds) == sorted(column(seconds), key=float, reverse=True)


def test_it_is_printed_light_with_everything_open(chromium, page):
    show(chromium, page, theme="dark")
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    assert chromium.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    hidden = "return [...document.querySelectorAll('details td')].filter(e => !e.getBoundingClientRect().height).length"
    assert chromium.execute_script(hidden) == 0
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
