"""Third-party images: there, or pulled, or one error that says why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from crashcart.images.engine import engine_errors, went_away
from crashcart.images.streams import FULL, FULL_REMEDY, EngineSaid, follow, is_full_disk
from crashcart.model.errors import UsageError
from crashcart.model.images import Images

if TYPE_CHECKING:
    import docker

STAND_INS = "crashcart-standin/"


def ensure_parts(
    client: docker.DockerClient, images: Images, which: Iterable[str], progress: Callable[[str], None]
) -> None:
    """Have the images of those parts on this engine. `progress` gets one line at a time.

    Raises:
        UsageError: one is not there and can't be pulled: which, why, and what to do. Or the engine went away meanwhile.
    """
    for part in which:
        image = images.parts[part]
        if not present(client, image):
            progress(f"{part}: pulling {image}")
            _pull(client, part, image, progress)


def present(client: docker.DockerClient, image: str) -> bool:
    """Whether the engine has it.

    Raises:
        UsageError: the engine does not answer.
    """
    return size_of(client, image) is not None


def size_of(client: docker.DockerClient, image: str) -> int | None:
    """In bytes, with all of its layers; None where the engine has no such image.

    Raises:
        UsageError: the engine does not answer.
    """
    from docker.errors import NotFound

    try:
        return int(client.images.get(image).attrs["Size"])
    except NotFound:
        return None
    except engine_errors() as problem:
        raise went_away(f"asked for {image}", problem) from problem


def _pull(client: docker.DockerClient, part: str, image: str, progress: Callable[[str], None]) -> None:
    from docker.errors import APIError

    try:
        # a digest goes where a tag goes
        name, separator, digest = image.partition("@")
        tag = digest if separator else name.rpartition(":")[2]
        repository = name if separator else name.rpartition(":")[0]
        follow(client.api.pull(repository, tag=tag, stream=True), progress)
        if not present(client, image):
            raise went_away(f"pulling {image}")
    except EngineSaid as problem:
        raise _not_pullable(part, image, str(problem)) from problem
    except APIError as problem:
        raise _not_pullable(part, image, str(problem.explanation or problem)) from problem
    except engine_errors() as problem:
        raise went_away(f"pulling {image}", problem) from problem


def _not_pullable(part: str, image: str, why: str) -> UsageError:
    variable = f"CRASHCART_IMAGE_{part.upper()}"
    if is_full_disk(why):
        return UsageError(f"the image of {part} can not be pulled: {FULL}", where=image, remedy=FULL_REMEDY)
    if image.startswith(STAND_INS):
        remedy = "`make engine-images` makes it"
    elif part == "grafana":
        remedy = f"name one that this engine can have: {variable}=registry.example.com/{part}:tag"
    else:
        remedy = (
            f"name one that this engine can have: {variable}=registry.example.com/{part}:tag; "
            "where none can be pulled, `make engine-images` makes a stand-in"
        )
    return UsageError(f"the image of {part} is not here and can not be pulled: {why}", where=image, remedy=remedy)
