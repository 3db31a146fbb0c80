"""Reports of a verdict: terminal, JSON, JUnit, Markdown, CSV, one HTML page. A file each, and each says the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from crashcart.model.recording import FILES
from crashcart.model.verdict import Verdict

__all__ = ["unwritten", "write_all"]

_PAGE = "report.html"
_MOST_ORDERS = 200_000
"""In `failed-orders.csv`; a run that lost more has other problems than who to write to first."""
_REPORTS = (FILES["verdict"], "junit.xml", "failed-orders.csv", "report.md", _PAGE)


def write_all(recording_dir: Path, verdict: Verdict) -> Path:
    """Write `verdict.json`, `junit.xml`, `failed-orders.csv`, `report.md` and `report.html`; the page's path.

    Each appears whole or not at all, the verdict first. What there is no room for is left out, and is no reason not to
    write the others, nor not to show the verdict: `unwritten` names it. BadFile where the folder holds no plan.
    """
    # imported late: `--help` need not wait for templates and DuckDB
    from crashcart.judging import failed_orders
    from crashcart.reporting.csvfile import write_failed_orders
    from crashcart.reporting.files import CannotWrite
    from crashcart.reporting.html import write_page
    from crashcart.reporting.jsonfile import write_verdict
    from crashcart.reporting.junit import write_junit
    from crashcart.reporting.markdown import write_markdown

    orders = failed_orders(recording_dir, _MOST_ORDERS)
    writes: tuple[Callable[[], Path], ...] = (
        lambda: write_verdict(recording_dir / FILES["verdict"], verdict),
        lambda: write_junit(recording_dir / "junit.xml", verdict),
        lambda: write_failed_orders(recording_dir / "failed-orders.csv", orders),
        lambda: write_markdown(recording_dir / "report.md", recording_dir, verdict, orders),
        lambda: write_page(recording_dir / _PAGE, recording_dir, verdict, orders),
    )
    for write in writes:
        with contextlib.suppress(CannotWrite):
            write()
    return recording_dir / _PAGE


def unwritten(recording_dir: Path, verdict: Verdict) -> tuple[str, ...]:
    """Names of reports that could not be written; all of them where the verdict on disk is another one."""
    from crashcart.reporting.jsonfile import verdict_json

    try:
        same = (recording_dir / FILES["verdict"]).read_text(encoding="utf-8") == verdict_json(verdict)
    except OSError:
        same = False
    if not same:
        return _REPORTS
    return tuple(name for name in _REPORTS if not (recording_dir / name).is_file())
