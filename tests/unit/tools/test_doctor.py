from __future__ import annotations

from pathlib import Path

from crashcart.tools import doctor
from tests.unit.tools.fake_programs import VERSIONS, Program


def test_everything_is_looked_at_even_where_programs_are_missing(program: Program, cache: Path) -> None:
    program("prometheus", f"echo '{VERSIONS['prometheus']}'")
    findings = {finding.name: finding for finding in doctor()}
    assert findings["prometheus"].ok
    assert "2.42.0" in findings["prometheus"].detail
    for name in ("postgres", "valkey", "toxiproxy", "server account"):
        assert not findings[name].ok
    assert {"python", "cores", "memory", "cache folder", "kernel", "open files", "loopback"} <= findings.keys()
    assert not cache.exists()


def test_whatever_is_wrong_has_a_remedy_and_what_is_right_has_none(path: Path) -> None:
    for finding in doctor():
        assert finding.ok == (finding.remedy is None), finding
