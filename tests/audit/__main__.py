"""Ask a vulnerability service about every package of every lock file, by pip-audit. `make audit`.

Exit status: 0 nothing is known against any of them · 1 something is · 2 a lock file is wrong · 3 nobody could tell.
A service that does not answer, or knows nothing of a package that everybody knows to be bad, has told nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / ".venv-audit" / "bin" / "pip-audit"
SERVICE = "https://api.osv.dev/v1/query"
NOTHING_KNOWN, KNOWN, USAGE, NOBODY_COULD_TELL = 0, 1, 2, 3

BAD = ("pycrypto", "2.6.1")
"""Left by its maintainers with two holes in it (CVE-2013-7459, CVE-2018-6594). Asked about, and never installed."""
WITHIN_S = 900.0
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")

Pins = Mapping[str, frozenset[str]]
"""Package → versions of it that some lock file holds, whatever platform they are for."""


class NobodyCouldTellError(Exception):
    """The service gave no answer that can be believed."""


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """One thing that is known against one package."""

    package: str
    version: str
    name: str
    fixed_in: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}: {self.name}, {self.fixed_in or 'not fixed in any version'}"


def lock_files(root: Path) -> tuple[Path, ...]:
    """Every lock file of requirements that belongs to the repository."""
    found = root.glob("**/requirements*.lock")
    return tuple(sorted(path for path in found if not any(part[0] == "." for part in path.relative_to(root).parts)))


def read_pins(paths: Iterable[Path]) -> Pins:
    """What they hold. ValueError names a file that holds nothing."""
    pins: dict[str, frozenset[str]] = {}
    for path in paths:
        found = [pin for line in path.read_text(encoding="utf-8").splitlines() if (pin := _PIN.match(line))]
        if not found:
            raise ValueError(f"{path}: no package stands in it")
        for pin in found:
            name = re.sub(r"[-_.]+", "-", pin[1]).lower()
            pins[name] = pins.get(name, frozenset()) | {pin[2]}
    return pins


def ask(program: Path, service: str, pins: Pins) -> tuple[Found, ...]:
    """What is known against them. NobodyCouldTellError where there is no answer to believe."""
    return tuple(sorted(found for batch in _batches(pins) for found in _ask_once(program, service, batch)))


def _batches(pins: Pins) -> Iterator[dict[str, str]]:
    """pip-audit takes one version of a package at a time."""
    left = {name: sorted(versions) for name, versions in pins.items()}
    while any(left.values()):
        yield {name: versions.pop() for name, versions in left.items() if versions}


def _ask_once(program: Path, service: str, batch: Mapping[str, str]) -> Iterator[Found]:
    asked = {**batch, BAD[0]: BAD[1]}
    answers = _answers(_run(program, service, asked))
    untold = sorted(name for name, version in asked.items() if (name, version) not in answers)
    if untold:
        raise NobodyCouldTellError(f"there is no answer for {', '.join(untold[:5])}")
    if not answers[BAD]:
        raise NobodyCouldTellError(
            f"it knows nothing against {' '.join(BAD)}, so what it says of others proves nothing"
        )
    for name, version in batch.items():
        yield from answers[name, version]


def _run(program: Path, service: str, asked: Mapping[str, str]) -> str:
    with tempfile.TemporaryDirectory(prefix="crashcart-audit-") as folder:
        file = Path(folder, "requirements.txt")
        file.write_text("".join(f"{name}=={version}\n" for name, version in asked.items()), encoding="utf-8")
        options = ["--vulnerability-service", "osv", "--osv-url", service, "--cache-dir", folder, "--format", "json"]
        options += [
            "--no-deps",
            "--disable-pip",
            "--desc",
            "off",
            "--progress-spinner",
            "off",
            "--requirement",
            str(file),
        ]
        try:
            done = subprocess.run(
                [program, *options],
                capture_output=True,
                text=True,
                check=False,
                timeout=WITHIN_S,
                stdin=subprocess.DEVNULL,
            )
        except OSError as problem:
            what = f"{program} can't be run ({problem.strerror}); `make audit` makes its environment"
            raise NobodyCouldTellError(what) from problem
        except subprocess.TimeoutExpired:
            raise NobodyCouldTellError(f"no answer within {WITHIN_S:.0f} s") from None
    if not done.stdout.strip():
        raise NobodyCouldTellError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:300])
    return done.stdout


def _answers(text: str) -> dict[tuple[str, str], list[Found]]:
    try:
        told = json.loads(text)["dependencies"]
        return {
            (one["name"], one["version"]): [
                Found(one["name"], one["version"], _name(bad), ", ".join(bad["fix_versions"])) for bad in one["vulns"]
            ]
            for one in told
            if "skip_reason" not in one
        }
    except (ValueError, KeyError, TypeError) as problem:
        raise NobodyCouldTellError(f"pip-audit said something else than its format: {problem!r}") from problem


def _name(bad: Mapping[str, object]) -> str:
    aliases = bad.get("aliases")
    others = f" ({', '.join(map(str, aliases))})" if isinstance(aliases, list) and aliases else ""
    return f"{bad['id']}{others}"


def main(argv: Sequence[str]) -> int:
    """Say what was found, in a line each, and how it ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="lock files; all of the repository where none is named")
    parser.add_argument("--program", type=Path, default=PROGRAM, help="pip-audit")
    parser.add_argument("--service", default=SERVICE, help="address of the vulnerability service, as OSV's v1 query")
    chosen = parser.parse_args(argv)
    files = tuple(chosen.files) or lock_files(ROOT)
    try:
        pins = read_pins(files)
    except (OSError, ValueError) as problem:
        click.echo(f"audit: {problem}\n  name lock files, or none")
        return USAGE
    try:
        found = ask(chosen.program, chosen.service, pins)
    except NobodyCouldTellError as problem:
        click.echo(f"audit: INCONCLUSIVE: nobody could tell whether anything is known: {problem}")
        return NOBODY_COULD_TELL
    for one in found:
        click.echo(f"  {one}")
    many = f"{sum(map(len, pins.values()))} packages of {len(files)} lock files"
    click.echo(
        f"audit: {len(found)} known vulnerabilities in {many}" if found else f"audit: nothing is known against {many}"
    )
    return KNOWN if found else NOTHING_KNOWN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
