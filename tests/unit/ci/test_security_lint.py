"""What must never stand in the code: that the linter finds it, and what it doesn't look for."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PARTS = ("crashcart", "stack", "loadtests", "dashboards")
PLANTED = {
    "subprocess.run(text, shell=True, check=False)": "S602",
    "os.system(text)": "S605",
    "os.popen(text)": "S605",
    "eval(text)": "S307",
    "exec(text)": "S102",
    "pickle.loads(text)": "S301",
    "marshal.loads(text)": "S302",
    "yaml.load(text, Loader=yaml.Loader)": "S506",
    "tempfile.mktemp()": "S306",
    "jinja2.Environment()": "S701",
    "markupsafe.Markup(text)": "S704",
    "tarfile.open(text).extractall()": "S202",
    "hashlib.md5(text)": "S324",
    "requests.get(text, timeout=1, verify=False)": "S501",
    'connection.execute(f"SELECT * FROM {text}")': "S608",
    'socket.bind(("0.0.0.0", 1))': "S104",
    'password = "hunter2"': "S105",
    "random.random()": "S311",
    "subprocess.run([text], check=False)": "S603",
    'subprocess.run(["git"], check=False)': "S607",
    "urllib.request.urlopen(text)": "S310",
}
IMPORTS = (
    "hashlib, jinja2, marshal, markupsafe, os, pickle, random, requests, socket, subprocess, tarfile, tempfile, "
    "urllib, yaml"
)
NEVER_EXCUSED = re.compile(r"noqa:.*\b(S102|S30[127]|S202|S50[16]|S60[245]|S701)\b")

SHELLS = ("sh", "bash", "dash", "zsh", "/bin/sh", "/bin/bash")
STRINGS_FOR_A_SHELL = {
    # a health check of an exported Compose file: the image has no other client, and all that is put in is a port
    ("crashcart/compose/shop.py", "shell"),
}
IMPORTED_BY_NAME = {
    ("crashcart/faults/__init__.py", "import by name"),  # every module of its own folder
}
UNPACKS = ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib")


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    paths = [path for part in PARTS for path in (ROOT / part).rglob("*.py")]
    assert len(paths) > 300
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@pytest.mark.parametrize("part", ["crashcart", "stack", "loadtests"])
def test_the_linter_of_make_check_finds_each_of_these_wherever_it_is_planted(part: str) -> None:
    text = "".join(f"import {name}\n" for name in IMPORTS.split(", ")) + "import urllib.request\n"
    first = text.count("\n") + 1
    text += "".join(f"{line}\n" for line in PLANTED)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--output-format",
            "json",
            "--stdin-filename",
            f"{part}/planted.py",
            "-",
        ],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {(one["location"]["row"] - first, one["code"]) for one in json.loads(done.stdout)}
    assert [wrong for row, wrong in enumerate(PLANTED) if (row, PLANTED[wrong]) not in found] == []


def test_no_security_rule_is_left_out_everywhere_but_that_asserts_are_allowed() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert [code for code in lint["ignore"] if re.fullmatch(r"S\d*", code)] == ["S101"]
    wide = {
        pattern for pattern, codes in lint["per-file-ignores"].items() if any(re.match(r"S\d|S$", c) for c in codes)
    }
    assert {pattern for pattern in wide if "*" in pattern} == {"tests/**"}
    assert [pattern for pattern in wide if "*" not in pattern and not (ROOT / pattern).is_file()] == []


def test_nothing_excuses_what_there_is_no_excuse_for() -> None:
    lines = [
        f"{path.relative_to(ROOT)}:{number}"
        for part in PARTS
        for path in (ROOT / part).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if NEVER_EXCUSED.search(line)
    ]
    assert lines == []


def test_no_text_is_given_to_a_shell_nor_imported_nor_unpacked(trees: dict[str, ast.Module]) -> None:
    found = {(path, what) for path, tree in trees.items() for what in _unseen_by_the_linter(tree)}
    assert found == STRINGS_FOR_A_SHELL | IMPORTED_BY_NAME


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("run(['sh', '-c', text])", "shell"),
        ("run(('/bin/bash', '-lc', text))", "shell"),
        ("asyncio.create_subprocess_shell(text)", "shell"),
        ("import shelve", "unpacks shelve"),
        ("from pickle import loads", "unpacks pickle"),
        ("importlib.import_module(text)", "import by name"),
        ("__import__(text)", "import by name"),
        ("yaml.load_all(text, Loader=yaml.FullLoader)", "yaml.FullLoader"),
        ("yaml.unsafe_load(text)", "yaml.unsafe_load"),
    ],
)
def test_the_look_itself_finds_what_is_planted(text: str, what: str) -> None:
    assert what in list(_unseen_by_the_linter(ast.parse(text)))


def _unseen_by_the_linter(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple) and _is_shell(node.elts):
            yield "shell"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (f"unpacks {name}" for name in names if name.partition(".")[0] in UNPACKS)
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.endswith("create_subprocess_shell"):
                yield "shell"
            if name in ("importlib.import_module", "__import__") and not isinstance(node.args[0], ast.Constant):
                yield "import by name"
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name.startswith("yaml.") and ("unsafe" in name.lower() or name in ("yaml.FullLoader", "yaml.Loader")):
                yield name


def _is_shell(words: list[ast.expr]) -> bool:
    texts = [word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    return any(text in SHELLS for text in texts) and any(re.fullmatch(r"-\w*c", text) for text in texts)
