"""The page in a real browser: no script, no request, no error, nothing cut off, everything legible."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from crashcart.model.recording import Event
from crashcart.model.verdict import Verdict
from crashcart.reporting import write_all
from crashcart.reporting.recorded import read_plan
from tests.contract.reporting.browser import Page, find_browser, open_page
from tests.unit.reporting.recordings import make_recording, seal
from tests.unit.reporting.stories import FAIL, HOSTILE, INCONCLUSIVE, PASS

BROWSER = find_browser()

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="needs Chromium or Chrome on PATH; that the page loads nothing is also a unit test"
)

STORIES = {"pass": PASS, "fail": FAIL, "inconclusive": INCONCLUSIVE, "hostile": replace(FAIL, hostile=HOSTILE)}

BUSY = replace(FAIL, name="busy")
"""Many faults, marks and alerts with long names, at places where there is hardly room."""

LEGIBLE = """
(() => {
  const channel = c => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
  const ground = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || element.closest('.unseen, .skip, title') || !element.getClientRects().length) continue;
    const style = getComputedStyle(element), below = ground(element);
    const colour = parse(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(over(colour, below)), light(below)].sort((x, y) => y - x);
    const contrast = (a + .05) / (b + .05);
    if (contrast < 4.5) bad.push(contrast.toFixed(2) + ' ' + node.data.trim().slice(0, 40));
  }
  return bad;
})()
"""

OVERLAPS = """
[...document.querySelectorAll('.panel svg, .recovery svg')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].filter(t => t.getClientRects().length)
    .map(t => [t.getBoundingClientRect(), t.textContent]);
  return boxes.flatMap(([a, said], i) => boxes.slice(i + 1)
    .filter(([b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
                  && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4)
    .map(([, other]) => said + ' / ' + other));
})
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name, story in STORIES.items():
        folder = tmp_path_factory.mktemp(name)
        made[name] = write_all(folder, make_recording(folder, story))
    folder = tmp_path_factory.mktemp("busy")
    made["busy"] = write_all(folder, make_busy(folder))
    return made


def make_busy(folder: Path) -> Verdict:
    """As the failing story, with many faults, marks and problems more."""
    verdict = make_recording(folder, BUSY)
    plan = read_plan(folder)
    first, long = plan.faults[0], "inventory[0].inventory-db[0] answers very late now and then"
    more = [
        msgspec.structs.replace(first, id=f"f{n}", title=long, slices=tuple((t, t + 0.7) for t in range(0, 12, 2)))
        for n in range(2, 6)
    ]
    (folder / "plan.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(plan, faults=(first, *more))))
    events = [Event(28 + 9 * n, "", "fault-injected", {"fault": f"f{n}"}) for n in range(2, 6)]
    events += [Event(float(t), "", "mark", {"text": f"called the {t}th colleague on duty"}) for t in range(0, 80, 7)]
    with (folder / "events.jsonl").open("ab") as file:
        file.writelines(msgspec.json.encode(event) + b"\n" for event in events)
    seal(folder)
    return verdict


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    assert BROWSER is not None
    with open_page(BROWSER) as opened:
        yield opened


@pytest.mark.parametrize("story", list(STORIES))
def test_it_asks_for_nothing_but_itself_and_the_console_stays_empty(
    page: Page, pages: dict[str, Path], story: str
) -> None:
    before = len(page.events)
    page.show(pages[story], width=1280)
    said = page.events[before:]
    asked = {one["params"]["request"]["url"] for one in said if one["method"] == "Network.requestWillBeSent"}
    assert asked <= {pages[story].as_uri(), "data:,"}
    assert not [one for one in said if one["method"] in ("Log.entryAdded", "Runtime.consoleAPICalled")]
    assert not [one for one in said if one["method"] in ("Runtime.exceptionThrown", "Page.javascriptDialogOpening")]


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
@pytest.mark.parametrize("story", [*STORIES, "busy"])
def test_nothing_is_wider_than_the_screen(page: Page, pages: dict[str, Path], story: str, width: int) -> None:
    page.show(pages[story], width=width)
    assert page.value("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("story", ["pass", "fail", "inconclusive", "busy"])
def test_words_in_drawings_do_not_lie_on_each_other(page: Page, pages: dict[str, Path], story: str, width: int) -> None:
    page.show(pages[story], width=width)
    assert page.value(OVERLAPS) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("story", ["pass", "fail", "inconclusive"])
def test_all_text_has_enough_contrast(page: Page, pages: dict[str, Path], story: str, *, dark: bool) -> None:
    page.show(pages[story], width=1280, dark=dark)
    assert page.value(LEGIBLE) == []


def test_light_and_dark_differ(page: Page, pages: dict[str, Path]) -> None:
    grounds = set()
    for dark in (False, True):
        page.show(pages["fail"], width=1280, dark=dark)
        grounds.add(page.value("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def test_cohorts_are_folded_on_screen_unfold_without_a_script_and_are_all_in_print(
    page: Page, pages: dict[str, Path]
) -> None:
    shown = "[...document.querySelectorAll('tr.cohort')].filter(e => e.getClientRects().length).length"
    page.show(pages["pass"], width=1280)
    there = page.value("document.querySelectorAll('tr.cohort').length")
    assert there > 10
    assert page.value(shown) == 0
    page.call("Emulation.setEmulatedMedia", {"media": "print"})
    assert page.value(shown) == there
    page.call("Emulation.setEmulatedMedia", {"media": "screen"})
    page.value("document.querySelectorAll('summary').forEach(e => e.click())")
    assert page.value(shown) == there


def test_headings_go_down_one_step_at_a_time_and_every_table_has_heads(page: Page, pages: dict[str, Path]) -> None:
    page.show(pages["fail"], width=1280)
    levels = page.value("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert (
        page.value("[...document.querySelectorAll('table')].filter(t => !t.querySelector('th[scope=col]')).length") == 0
    )


def test_the_story_of_a_witness_opens_without_a_script(page: Page, pages: dict[str, Path]) -> None:
    shown = "[...document.querySelectorAll('.story + .folded')].filter(e => e.getClientRects().length).length"
    page.show(pages["fail"], width=1280, scripts=False)
    before = page.value(shown)
    page.value("document.querySelectorAll('.story > summary').forEach(e => e.parentElement.open = true)")
    assert page.value(shown) > before


def test_all_content_is_there_without_scripts(page: Page, pages: dict[str, Path]) -> None:
    read = "document.body.innerText"
    page.show(pages["fail"], width=1280)
    with_scripts = page.value(read)
    page.show(pages["fail"], width=1280, scripts=False)
    assert page.value(read) == with_scripts


def test_it_prints(page: Page, pages: dict[str, Path], tmp_path: Path) -> None:
    page.show(pages["fail"], width=1280, dark=True)
    page.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
    page.call("Emulation.setEmulatedMedia", {"media": "print"})
    assert page.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
