"""Reports of a verdict: terminal, JSON, JUnit, and one HTML page. Each is one file here, and each says the same."""

from __future__ import annotations

from pathlib import Path

from crashcart.model.recording import FILES
from crashcart.model.verdict import Verdict

__all__ = ["write_all"]


def write_all(recording_dir: Path, verdict: Verdict) -> Path:
    """Write `verdict.json`, `junit.xml` and `report.html` into the recording; the page's path.

    Each appears whole or not at all. UsageError where the folder can't be written, BadFile where it holds no plan.
    """
    # imported late: `--help` need not wait for templates and DuckDB
    from crashcart.reporting.html import write_page
    from crashcart.reporting.jsonfile import write_verdict
    from crashcart.reporting.junit import write_junit

    write_verdict(recording_dir / FILES["verdict"], verdict)
    write_junit(recording_dir / "junit.xml", verdict)
    return write_page(recording_dir / "report.html", recording_dir, verdict)
