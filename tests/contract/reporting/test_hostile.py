"""A recording whose every text is hostile, told in every report, in a real browser and a real terminal's bytes.

Two things keep a script out, and each is shown to do so without the other: the escaping and the page's content policy.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from crashcart.model.verdict import Verdict
from crashcart.reporting import unwritten, write_all
from crashcart.reporting.terminal import render_verdict
from tests.contract.reporting.browser import Page, find_browser, open_page
from tests.contract.reporting.hostile import CANARY, PAYLOADS, make_hostile

BROWSER = find_browser()
in_chromium = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on PATH")

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
ACTIVE = """
(() => {
  const found = [...document.querySelectorAll('script, iframe, object, embed, img, link:not([rel=icon]), base, form')];
  const handled = [...document.querySelectorAll('*')]
    .filter(e => [...e.attributes].some(a => /^on|^autofocus/.test(a.name)));
  const address = e => e.getAttribute('href') || e.getAttribute('src') || e.getAttribute('action') || '#';
  const led = [...document.querySelectorAll('[href], [src], [action]')].filter(e => !/^(#|data:,$)/.test(address(e)));
  return [...found, ...handled, ...led].map(e => e.outerHTML.slice(0, 120));
})()
"""


@pytest.fixture(scope="module")
def verdict(folder: Path) -> Verdict:
    made = make_hostile(folder)
    write_all(folder, made)
    assert unwritten(folder, made) == ()
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def page(verdict: Verdict) -> Iterator[Page]:
    assert verdict.experiment
    assert BROWSER is not None
    with open_page(BROWSER) as opened:
        yield opened


def show(page: Page, file: Path) -> tuple[bool, list[str], set[str]]:
    """Whether a script ran, what the page holds that could run one, and what was asked for beside the page."""
    before = len(page.events)
    page.show(file, width=1280)
    # what is folded is opened, and what can be pointed at is pointed at
    page.value("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    page.value(
        "['mouseover', 'click', 'focus'].forEach(name => document.querySelectorAll('body *:not(a)')"
        ".forEach(e => e.dispatchEvent(new Event(name))))"
    )
    page.value("new Promise(done => setTimeout(done, 50))")
    said = page.events[before:]
    asked = {one["params"]["request"]["url"] for one in said if one["method"] == "Network.requestWillBeSent"}
    ran = bool(page.value(f"window.{CANARY}")) or any(one["method"] == "Page.javascriptDialogOpening" for one in said)
    return ran, page.value(ACTIVE), asked - {file.as_uri(), "data:,"}


def refused_by_policy(page: Page, since: int) -> int:
    """How many requests the browser did not send."""
    failed = [one["params"] for one in page.events[since:] if one["method"] == "Network.loadingFailed"]
    return sum(one.get("blockedReason") == "csp" for one in failed)


@in_chromium
@pytest.mark.parametrize("policy", [True, False], ids=["as-written", "without-its-policy"])
def test_no_script_gets_into_the_page_by_its_escaping_alone(page: Page, folder: Path, *, policy: bool) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert len(POLICY.findall(text)) == 1
    file = folder / f"policy-{policy}.html"
    file.write_text(text if policy else POLICY.sub("", text), encoding="utf-8")
    assert show(page, file) == (False, [], set())
    shown = page.value("document.body.textContent")
    # it was all there: nothing was kept out by not being told
    assert all(shown.count(payload[:20].lstrip('"')) >= 5 for payload in PAYLOADS if not OBEYED.search(payload))
    assert not OBEYED.search(text)


@in_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_texts_without_a_place_to_break_make_nothing_wider_than_the_screen(
    page: Page, verdict: Verdict, folder: Path, width: int
) -> None:
    assert verdict.experiment
    page.show(folder / "report.html", width=width)
    assert page.value("document.documentElement.scrollWidth") <= width


@in_chromium
@pytest.mark.parametrize("policy", [True, False], ids=["with-its-policy", "with-neither"])
def test_where_an_escape_was_forgotten_the_policy_alone_lets_no_script_run(
    page: Page, folder: Path, *, policy: bool
) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    head, body = text[: text.index("<title>")], text[text.index("<title>") :]
    file = folder / f"unescaped-{policy}.html"
    file.write_text((head if policy else POLICY.sub("", head)) + html.unescape(body), encoding="utf-8")
    before = len(page.events)
    ran, active, asked = show(page, file)
    assert active  # the payloads are live here
    assert ran is not policy  # and where nothing holds them, they do run: this test can fail
    assert len(asked) <= refused_by_policy(page, before) if policy else asked


@in_chromium
def test_the_report_for_a_pull_request_runs_nothing_where_a_server_lets_all_html_through(
    page: Page, folder: Path
) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert not OBEYED.search(text)
    made = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    file = folder / "markdown.html"
    file.write_text(f"<!doctype html><meta charset=utf-8><title>x</title>{made}", encoding="utf-8")
    assert show(page, file) == (False, [], set())
    assert page.value("document.body.textContent").count("<script>") > 5


@in_chromium
def test_the_file_for_a_ci_server_runs_nothing_in_a_browser(page: Page, verdict: Verdict, folder: Path) -> None:
    assert verdict.experiment
    text = (folder / "junit.xml").read_text(encoding="utf-8")
    assert not OBEYED.search(text)
    names = {element.tag for element in ET.fromstring(text).iter()}
    assert names <= {"testsuites", "testsuite", "testcase", "failure", "error", "system-out"}
    page.show(folder / "junit.xml", width=1280)
    assert page.value(f"window.{CANARY}") is None


def test_a_terminal_is_told_to_do_nothing(verdict: Verdict, folder: Path) -> None:
    out = io.StringIO()
    render_verdict(verdict, Console(file=out, width=120), report=folder / "report.html")
    assert "<script>" in out.getvalue()
    assert not OBEYED.search(out.getvalue())


def test_a_spreadsheet_is_given_no_formula_and_no_control_character(verdict: Verdict, folder: Path) -> None:
    assert verdict.experiment
    text = (folder / "failed-orders.csv").read_text(encoding="utf-8")
    assert text.count("\n") > 100
    assert not OBEYED.search(text)
