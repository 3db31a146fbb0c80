"""Make stand-ins for the images that can not be pulled here, and write the file that puts them in place.

`make engine-images` is for CI and for machines that are sealed off. The stand-ins hold the programs that the local
runtime runs, on a base of the distribution's own packages: they are not the official images, and nothing uses them by
itself. There is none for Grafana, which is neither in a Debian package nor in a wheel.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import click
import docker
import docker.errors

from crashcart.images.context import packed
from crashcart.images.engine import connect
from crashcart.images.streams import EngineSaid, follow
from crashcart.model.errors import CrashcartError, UsageError
from crashcart.tools import setup
from crashcart.tools.cache import writable_cache_dir
from tests.engine.debian import PACKAGES, codename, make_tree, pack_tree, scratch
from tests.engine.recipes import KEY_LABEL, PREFIX, Recipe, recipes

FILE = "engine-images.yaml"
HEAD = """\
# Written by `make engine-images`; it counts where CRASHCART_IMAGES names it.
apiVersion: crashcart/v1
kind: Images
"""


def main() -> int:
    """Seconds where all is there already; a minute or two the first time."""
    argparse.ArgumentParser(prog="python -m tests.engine", description=__doc__).parse_args()
    try:
        place = make(lambda line: click.echo(line, err=True))
    except CrashcartError as problem:
        click.echo(str(problem), err=True)
        return int(problem.exit_status)
    click.echo("done; `export CRASHCART_IMAGES=` with this path puts them in place:", err=True)
    click.echo(place)
    return 0


def make(progress: Callable[[str], None]) -> Path:
    """All stand-ins. Returns the file to name in CRASHCART_IMAGES.

    Raises:
        CrashcartError: no engine, not root, no debootstrap, no mirror, a program that is not there.
    """
    client = connect()
    toolbox = setup(progress)
    base = _base(client, progress)
    version = _python_in(client, base)
    made = recipes(toolbox, base, version)
    for recipe in made:
        _build(client, recipe, progress)
    place = writable_cache_dir() / FILE
    parts = "".join(f"  {recipe.part}: {recipe.tag}\n" for recipe in made)
    place.write_text(f"{HEAD}parts:\n{parts}", encoding="utf-8")
    return place


def _base(client: docker.DockerClient, progress: Callable[[str], None]) -> str:
    tag = f"{PREFIX}/base:{codename()}"
    key = ",".join(PACKAGES)
    if _key_of(client, tag) == key:
        return tag
    if os.geteuid() != 0:
        raise UsageError("a base image is made by root alone", remedy="sudo -E make engine-images")
    with scratch() as folder:
        archive = pack_tree(make_tree(Path(folder), progress), progress)
        progress("base: handing it to the engine …")
        client.api.import_image_from_file(
            str(archive), repository=f"{PREFIX}/base", tag=codename(), changes=[f"LABEL {KEY_LABEL}={key}"]
        )
    progress(f"made {tag}")
    return tag


def _python_in(client: docker.DockerClient, base: str) -> str:
    said = client.containers.run(base, ["python3", "--version"], remove=True, network_mode="none")
    return str(said.decode().split()[-1])


def _build(client: docker.DockerClient, recipe: Recipe, progress: Callable[[str], None]) -> None:
    key = recipe.key()
    if _key_of(client, recipe.tag) == key:
        return
    progress(f"{recipe.part}: building {recipe.tag} …")
    with packed({**recipe.files, "Dockerfile": recipe.dockerfile.encode()}) as context:
        stream = client.api.build(
            fileobj=context,
            custom_context=True,
            tag=recipe.tag,
            rm=True,
            forcerm=True,
            network_mode="none",
            labels={KEY_LABEL: key},
        )
        try:
            follow(stream, lambda line: None)
        except EngineSaid as problem:
            raise CrashcartError(f"{recipe.tag} can not be built: {problem}") from problem
    progress(f"made {recipe.tag}")


def _key_of(client: docker.DockerClient, tag: str) -> str | None:
    try:
        return str(client.images.get(tag).labels.get(KEY_LABEL))
    except docker.errors.ImageNotFound:
        return None


if __name__ == "__main__":
    sys.exit(main())
