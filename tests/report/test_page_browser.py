"""The page in headless Chromium: what a person does with it, without a word to any network."""

import csv
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from resnet_cli.report.page import make_report, write_report
from resnet_cli.store.reader import load_results
from tests.page_numbers import REFERENCE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
RUNS = load_results(REFERENCE / "digits").summary().to_dict("records")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="there is no Chromium with its driver (Debian: chromium, chromium-driver)"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets that Selenium leaves to the garbage collector
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the reference results on the digits."""
    out = tmp_path_factory.mktemp("page") / "report.html"
    write_report(make_report([REFERENCE / "digits"], kinds=["depth"]), out)
    return out


@pytest.fixture(scope="module")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    home = tmp_path_factory.mktemp("browser")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1400,1000",
        "--disable-dev-shm-usage",
    ):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={home / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    saved = {"behavior": "allow", "downloadPath": str(home / "saved")}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", saved)
    yield browser
    browser.quit()


@pytest.fixture
def saved(tmp_path: Path, _browser: webdriver.Chrome) -> Path:
    """The folder into which the browser saves files."""
    _browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    return tmp_path


@pytest.fixture
def browser(_browser: webdriver.Chrome, page: Path) -> Iterator[webdriver.Chrome]:
    """A browser with the page, as if opened for the first time; at the end nothing was wrong and no network asked."""
    theme(_browser, "light")
    log_of(_browser, "performance")
    _browser.get(page.as_uri())
    _browser.execute_script("localStorage.clear()")
    _browser.refresh()
    yield _browser
    assert log_of(_browser, "browser") == []
    asked = requests_of(_browser)
    assert asked == {page.as_uri()}


def log_of(browser: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    """What the browser noted since it was last asked."""
    return list(browser.get_log(kind))  # type: ignore[no-untyped-call]


def requests_of(browser: webdriver.Chrome) -> set[str]:
    """What the page asked for, but for what it contains itself."""
    messages = [json.loads(entry["message"])["message"] for entry in log_of(browser, "performance")]
    urls = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    return {url.partition("#")[0] for url in urls if not url.startswith(("data:", "blob:"))}


def theme(browser: webdriver.Chrome, value: str) -> None:
    """Let the browser prefer light or dark pages."""
    features = {"features": [{"name": "prefers-color-scheme", "value": value}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)


def column(browser: webdriver.Chrome, name: str) -> list[str]:
    """The texts of a column of the runs that are shown."""
    script = """
        const table = document.getElementById("run-table");
        const place = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.trim() === arguments[0]);
        return [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[place].textContent);
    """
    return list(browser.execute_script(script, name))


def header(browser: webdriver.Chrome, name: str) -> WebElement:
    return browser.find_element(By.XPATH, f"//table[@id='run-table']//th[normalize-space()='{name}']")


def wait_for(path: Path) -> str:
    """The text of a file that the browser saves."""
    for _ in range(100):
        if path.exists():
            return path.read_text("utf-8")
        time.sleep(0.1)
    raise AssertionError(f"{path.name} was not saved, only {[one.name for one in path.parent.iterdir()]}")


def test_a_heading_sorts_by_numbers_and_says_so(browser: webdriver.Chrome) -> None:
    loss = header(browser, "training loss")
    for direction, reverse in (("ascending", False), ("descending", True)):
        loss.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
        values = list(map(float, column(browser, "training loss")))
        assert values == sorted(values, reverse=reverse)
        assert loss.get_attribute("aria-sort") == direction
    header(browser, "depth").find_element(By.TAG_NAME, "button").click()
    assert column(browser, "depth") == sorted((str(run["depth"]) for run in RUNS), key=int)
    assert loss.get_attribute("aria-sort") == "none"


def test_runs_are_filtered_by_words_and_by_values(browser: webdriver.Chrome) -> None:
    Select(browser.find_element(By.XPATH, "//label[contains(.,'depth')]/select")).select_by_visible_text("56")
    assert set(column(browser, "depth")) == {"56"}
    assert browser.find_element(By.ID, "count").text == f"{sum(run['depth'] == 56 for run in RUNS)} of {len(RUNS)} runs"
    search = browser.find_element(By.ID, "search")
    search.send_keys("PLAIN s1")
    assert column(browser, "model") == ["plain-cnn"]
    search.send_keys(" nothing")
    assert browser.find_element(By.ID, "count").text == f"0 of {len(RUNS)} runs"
    browser.find_element(By.ID, "clear").click()
    assert len(column(browser, "model")) == len(RUNS)
    assert browser.switch_to.active_element == search


def test_the_button_switches_colours_and_the_choice_stays(browser: webdriver.Chrome) -> None:
    def ground() -> str:
        return str(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))

    light, button = ground(), browser.find_element(By.ID, "theme")
    assert button.text == "Dark colours"
    button.click()
    dark = ground()
    assert (light != dark, button.text) == (True, "Light colours")
    picture = "return getComputedStyle(document.querySelector('.picture [fill=\"#ffffff\"]')).fill"
    assert browser.execute_script(picture) == "rgb(29, 29, 29)"
    browser.refresh()
    assert ground() == dark
    browser.execute_script("localStorage.clear()")
    theme(browser, "dark")
    browser.refresh()
    assert ground() == dark
    browser.find_element(By.ID, "theme").click()
    assert ground() == light


def test_the_tabulator_visits_everything_that_can_be_used(browser: webdriver.Chrome) -> None:
    visited = []
    for _ in range(100):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        active = browser.switch_to.active_element
        outline = active.value_of_css_property("outline-style")
        if active.tag_name == "body":
            break
        visited.append((active.get_attribute("id") or active.text or active.get_attribute("aria-label"), outline))
    names = [name for name, _ in visited]
    assert names[0] == "Skip to the answer"
    assert [
        name for name in ("theme", "search", "clear", "save", "model", "Save the data as CSV") if name not in names
    ] == []
    assert {outline for _, outline in visited} == {"solid"}, "focus is visible everywhere"


def test_a_figure_saves_its_data(browser: webdriver.Chrome, saved: Path) -> None:
    browser.find_element(By.LINK_TEXT, "Save the data as CSV").click()
    rows = list(csv.DictReader(wait_for(saved / "digits-loss-by-depth.csv").splitlines()))
    assert len(rows) == len(RUNS)
    assert {row["model"] for row in rows} == {"plain-cnn", "resnet"}
    assert float(rows[0]["train_loss"]) > 0


def test_the_shown_runs_are_saved(browser: webdriver.Chrome, saved: Path) -> None:
    browser.find_element(By.ID, "search").send_keys("resnet")
    browser.find_element(By.ID, "save").click()
    rows = list(csv.DictReader(wait_for(saved / "runs.csv").splitlines()))
    assert len(rows) == sum(run["model"] == "resnet" for run in RUNS)
    assert {row["model"] for row in rows} == {"resnet"}
    assert all(len(row["training loss"]) > 4 for row in rows), "with more digits than the table shows"


def test_settings_are_saved_as_the_file_that_the_command_names(browser: webdriver.Chrome, saved: Path) -> None:
    browser.find_element(By.LINK_TEXT, "save digits.toml").click()
    assert wait_for(saved / "digits.toml") == (REFERENCE / "digits" / "sweep.toml").read_text("utf-8")
    assert "resnet-exp sweep --config digits.toml" in browser.find_element(By.ID, "settings").text


def test_texts_stand_out_from_their_ground(browser: webdriver.Chrome) -> None:
    """WCAG 2.2 AA: a contrast of 4.5, in both colours, of everything that has text of its own."""
    script = """
        const shade = (colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((value) => value / 255)
                .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (element) => {
            for (let at = element; at; at = at.parentElement) {
                const colour = getComputedStyle(at).backgroundColor;
                if (!colour.endsWith(", 0)")) return colour;
            }
            return "rgb(255, 255, 255)";
        };
        const own = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        return [...document.body.querySelectorAll("*")].filter((element) => own(element) && element.checkVisibility())
            .map((element) => {
                const style = getComputedStyle(element);
                const svg = element.closest("svg") && !["title", "desc"].includes(element.tagName);
                const pair = [shade(svg ? style.fill : style.color), shade(ground(element))];
                const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
                return [contrast, element.tagName + " " + element.textContent.slice(0, 40)];
            }).filter(([contrast]) => contrast < 4.5);
    """
    assert browser.execute_script(script) == []
    browser.find_element(By.ID, "theme").click()
    assert browser.execute_script(script) == []


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_never_scrolls_sideways(browser: webdriver.Chrome, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
