"""A real browser reads the page: filter, timelines, zoom, theme, and a phone's width."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.helpers.browser import browser, set_size
from tests.helpers.journals import Story, crowd, huge_start, limit_failure, write_story
from virtsim.report import write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTILE = "</script><img src=x onerror=document.title='pwned'>"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    run_dir = tmp_path_factory.mktemp("run")
    hostile = Story("099-hostile", HOSTILE, {HOSTILE: 1})
    hostile.note("fault", HOSTILE, rule=HOSTILE, action=HOSTILE)
    hostile.start(HOSTILE, 1, 31, 20)
    for story in (huge_start(), limit_failure(), crowd(60, alike=False), hostile.end("failed", HOSTILE)):
        write_story(run_dir, story)
    return write_report(run_dir, run_dir / "steps.md")["html"].as_uri()


@pytest.fixture
def page(driver: Any, address: str) -> Iterator[Any]:
    set_size(driver, 1280, 900, dark=False)
    driver.get(address)
    driver.execute_script("try { localStorage.clear() } catch (refused) {}")
    driver.get(address)
    yield driver
    noise = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert noise == []


def find(page: Any, selector: str) -> list[Any]:
    return page.find_elements("css selector", selector)


def shown(page: Any) -> list[str]:
    return [title.text for title in find(page, ".scenario .title") if title.is_displayed()]


def eventually(page: Any, selector: str) -> None:
    """Wait until the page has made what it makes when something is opened: a toggle is told a turn later."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, 20).until(lambda driver: driver.find_elements("css selector", selector))


def unfold(page: Any, scenario: str) -> None:
    find(page, f"{scenario} > summary")[0].click()
    eventually(page, f"{scenario} svg.chart")


def unfold_records(page: Any, scenario: str) -> None:
    eventually(page, f"{scenario} .records > summary")
    find(page, f"{scenario} .records > summary")[0].click()
    eventually(page, f"{scenario} .records tbody tr")


def press(page: Any, keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(page).send_keys(keys).perform()


def test_the_filter(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    assert len(shown(page)) == 4
    press(page, "/")
    press(page, "402 ADAPTIVE")
    assert shown(page) == ["402 GiB of 1 GiB hugepages"]
    assert find(page, "#shown")[0].text == "1 of 4 scenarios shown"

    press(page, " nowhere")
    assert shown(page) == []
    assert find(page, "#nothing")[0].is_displayed()

    press(page, Keys.ESCAPE)
    assert len(shown(page)) == 4


def test_the_chips(page: Any) -> None:
    find(page, ".chip[data-outcome=passed]")[0].click()

    assert shown(page) == ["80 GiB and one GPU: the limit is too short", HOSTILE]
    assert find(page, ".chip[data-outcome=passed]")[0].get_attribute("aria-pressed") == "false"


def test_a_timeline_opens_and_shows_the_first_attempts(page: Any) -> None:
    assert find(page, "#s0 svg.chart") == []  # drawn when it is looked at, not before
    unfold(page, "#s0")
    places = page.execute_script(
        "return Array.from(document.querySelectorAll('#s0 [data-attempt]')).map("
        "(tick) => [tick.dataset.attempt, tick.getBoundingClientRect().x])"
    )
    first = [x for number, x in places if int(number) <= 4]
    apart = [right - left for left, right in pairwise(first)]

    assert len(first) == 4
    assert min(apart) > 10  # 1, 3, 7 and 15 ms beside 105 s
    assert places[-1][0] == "114"
    labels = page.execute_script(
        "return Array.from(document.querySelectorAll('#s0 [data-label]')).map((item) => item.dataset.label)"
    )
    assert {"PAUSED (STARTING_UP)", "virDomainCreate", "listening", "RESUMED", "pid 1000"} <= set(labels)


def test_zoom_axis_and_keys(page: Any) -> None:
    unfold(page, "#s0")

    def view() -> tuple[int, int]:
        low, high = find(page, "#s0 .timeline")[0].get_attribute("data-view").split()
        return int(low), int(high)

    whole = view()
    find(page, "#s0 [aria-label='Zoom in']")[0].click()
    closer = view()
    assert whole[0] < closer[0] < closer[1] < whole[1]

    find(page, "#s0 [aria-label='Show all of it']")[0].click()
    assert view() == whole

    find(page, "#s0 [data-mode=linear]")[0].click()
    assert find(page, "#s0 [data-mode=linear]")[0].get_attribute("aria-pressed") == "true"
    from selenium.webdriver.common.keys import Keys

    chart = find(page, "#s0 svg.chart")[0]
    page.execute_script("arguments[0].focus()", chart)
    press(page, "++")
    assert view()[1] - view()[0] < 200_000_000_000
    press(page, "0")
    press(page, Keys.ARROW_RIGHT)
    tip = find(page, "#s0 .tip")[0]
    assert tip.is_displayed()
    assert "at 0" in tip.text


def test_the_strip_chooses_a_part(page: Any) -> None:
    from selenium.webdriver import ActionChains

    unfold(page, "#s0")
    strip = find(page, "#s0 svg.strip")[0]
    before = find(page, "#s0 .timeline")[0].get_attribute("data-view")
    ActionChains(page).move_to_element_with_offset(strip, -300, 0).click_and_hold().move_by_offset(
        150, 0
    ).release().perform()

    assert find(page, "#s0 .timeline")[0].get_attribute("data-view") != before


def test_the_records(page: Any) -> None:
    unfold(page, "#s0")
    unfold_records(page, "#s0")
    rows = [row.text for row in find(page, "#s0 .records tbody tr")]

    assert any("attempts 12 to 113" in row for row in rows)
    assert any("qmp_capabilities" in row for row in rows)


def test_dark_and_light(page: Any, driver: Any, address: str) -> None:
    def paper() -> str:
        return str(driver.execute_script("return getComputedStyle(document.body).backgroundColor"))

    light = paper()
    find(page, "#theme")[0].click()
    dark = paper()
    assert dark != light
    press(page, "d")
    assert paper() == light

    driver.execute_script("try { localStorage.clear() } catch (refused) {}")
    set_size(driver, 1280, 900, dark=True)
    driver.get(address)
    assert paper() == dark


@pytest.mark.parametrize("width", [320, 375, 768])
def test_nothing_sticks_out(page: Any, driver: Any, address: str, width: int) -> None:
    set_size(driver, width, 800)
    driver.get(address)
    press(driver, "e")
    eventually(page, "#s0 svg.chart")  # the folds inside of a timeline are there when it is drawn
    driver.execute_script("for (const fold of document.querySelectorAll('details')) { fold.open = true; }")
    eventually(page, "#s0 .records tbody tr")

    assert driver.execute_script("return document.documentElement.scrollWidth") == width
    assert find(page, "#s0 svg.chart")[0].is_displayed()


def test_help_opens_and_closes(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    press(page, "?")
    assert find(page, "#keys")[0].is_displayed()
    press(page, Keys.ESCAPE)
    assert not find(page, "#keys")[0].is_displayed()


def test_hostile_names_are_only_text(page: Any) -> None:
    assert "pwned" not in page.title
    assert find(page, "img") == []
    unfold_records(page, "#s3")
    assert HOSTILE in find(page, "#s3 .records")[0].text
    assert find(page, "img") == []
    assert any(HOSTILE in text.text for text in find(page, "#s3 svg text"))
