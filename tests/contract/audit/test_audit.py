"""The audit of locked packages, by pip-audit itself against a service that speaks as OSV does.

pip-audit has an environment of its own, which `make audit` makes: where it is not there, what is around it is tested
all the same, by a program that says what pip-audit was seen to say.
"""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from tests.audit.__main__ import BAD, KNOWN, NOBODY_COULD_TELL, NOTHING_KNOWN, PROGRAM, ROOT, USAGE, lock_files, main
from tests.audit.__main__ import read_pins as pins_of
from tests.contract.audit.service import Service, listening

KNOWS_BAD = {BAD: "PYSEC-2017-94"}
LOCK = "jinja2==3.1.6 \\\n    --hash=sha256:00\ncolorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"

STAND_IN = """\
import json, sys, urllib.request
options = dict(zip(sys.argv[1::1], sys.argv[2::1]))
told = []
for line in open(options["--requirement"]):
    name, version = line.strip().split("==")
    query = {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
    request = urllib.request.Request(options["--osv-url"], json.dumps(query).encode())
    answer = json.loads(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read())
    vulns = [{"id": v["id"], "aliases": v["aliases"], "fix_versions": ["99.1"]} for v in answer.get("vulns", [])]
    told.append({"name": name, "version": version, "vulns": vulns})
print(json.dumps({"dependencies": told, "fixes": []}))
sys.exit(any(one["vulns"] for one in told))
"""


BOTH = pytest.mark.parametrize("program", ["pip-audit", "stand-in"], indirect=True)
QUICK = pytest.mark.parametrize("program", ["stand-in"], indirect=True)
"""pip-audit takes a second or two to begin."""


@pytest.fixture
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "pip-audit":
        if not PROGRAM.exists():
            pytest.skip("`make audit` has not made pip-audit's environment here")
        return PROGRAM
    path = tmp_path / "pip-audit"
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN, encoding="utf-8")
    # a first line that names Python would end at the first space of its path
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{script}' \"$@\"\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(LOCK, encoding="utf-8")
    return path


def audit(program: Path, service: Service, *files: Path) -> int:
    with listening(service):
        return main(["--program", str(program), "--service", service.address, *map(str, files)])


@BOTH
def test_where_nothing_is_known_it_is_said_and_every_package_was_asked_about_whatever_platform_it_is_for(
    program: Path, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Service(KNOWS_BAD)
    assert audit(program, service, lock) == NOTHING_KNOWN
    assert sorted(service.asked) == [("colorama", "0.4.6"), ("jinja2", "3.1.6"), BAD]
    assert capsys.readouterr().out == "audit: nothing is known against 2 packages of 1 lock files\n"


@BOTH
def test_what_is_known_is_named_with_its_remedy(program: Path, lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service = Service({**KNOWS_BAD, ("jinja2", "3.1.6"): "PYSEC-2000-1"})
    assert audit(program, service, lock) == KNOWN
    said = capsys.readouterr().out
    assert "  jinja2 3.1.6: PYSEC-2000-1 (CVE-2000-0001), 99.1\n" in said
    assert BAD[0] not in said


@QUICK
def test_two_versions_of_a_package_are_both_asked_about(program: Path, lock: Path, tmp_path: Path) -> None:
    other = tmp_path / "requirements-other.lock"
    other.write_text("jinja2==2.10\n", encoding="utf-8")
    service = Service({**KNOWS_BAD, ("jinja2", "2.10"): "PYSEC-2019-217"})
    assert audit(program, service, lock, other) == KNOWN
    assert {("jinja2", "2.10"), ("jinja2", "3.1.6")} <= set(service.asked)


NOT_TO_BE_BELIEVED = {
    "knows-nothing": Service({}),
    "broken": Service(KNOWS_BAD, status=500),
    "empty": Service(KNOWS_BAD, says=b"{}"),
    "a-portal": Service(KNOWS_BAD, says=b"<html>please log in</html>"),
    "an-empty-list": Service(KNOWS_BAD, says=b'{"vulns": []}'),
}


@pytest.mark.parametrize(
    ("program", "service"),
    [*(("stand-in", name) for name in NOT_TO_BE_BELIEVED), ("pip-audit", "a-portal"), ("pip-audit", "empty")],
    indirect=["program"],
)
def test_a_service_that_can_not_be_believed_is_no_pass(
    program: Path, lock: Path, capsys: pytest.CaptureFixture[str], service: str
) -> None:
    assert audit(program, NOT_TO_BE_BELIEVED[service], lock) == NOBODY_COULD_TELL
    assert capsys.readouterr().out.startswith("audit: INCONCLUSIVE: nobody could tell")


@BOTH
def test_a_service_that_can_not_be_reached_is_no_pass(
    program: Path, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(Service(KNOWS_BAD)) as gone:
        address = gone.address
    assert main(["--program", str(program), "--service", address, str(lock)]) == NOBODY_COULD_TELL
    assert "INCONCLUSIVE" in capsys.readouterr().out


@pytest.mark.parametrize(
    "said", [{}, {"dependencies": []}, {"dependencies": [{"name": "jinja2", "skip_reason": "not there"}]}, [], "no"]
)
def test_an_answer_that_leaves_something_out_is_no_pass(tmp_path: Path, lock: Path, said: object) -> None:
    path = tmp_path / "pip-audit"
    path.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(said))})\n", encoding="utf-8")
    path.chmod(0o700)
    assert main(["--program", str(path), "--service", "http://127.0.0.1:9", str(lock)]) == NOBODY_COULD_TELL


def test_without_pip_audit_nobody_can_tell(tmp_path: Path, lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--program", str(tmp_path / "none"), str(lock)]) == NOBODY_COULD_TELL
    assert "can't be run (No such file or directory); `make audit` makes its environment" in capsys.readouterr().out


def test_a_lock_file_that_is_not_there_or_holds_nothing_is_an_error_of_its_own(tmp_path: Path, lock: Path) -> None:
    assert main([str(tmp_path / "none.lock")]) == USAGE
    lock.write_text("nothing here\n", encoding="utf-8")
    assert main([str(lock)]) == USAGE


def test_every_lock_file_of_the_repository_is_audited() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in lock_files(ROOT)}
    made = {word for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() for word in line.split()}
    assert names >= {word for word in made if word.endswith(".lock") and "/" not in word.rstrip(":")}
    assert {"requirements.lock", "requirements-audit.lock", "stack/images/requirements.lock"} <= names
    assert len(pins_of(lock_files(ROOT))) > 90
