"""Building the shop's image, with the settings by which pip reaches packages here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from crashcart.images.context import packed
from crashcart.images.engine import engine_errors, went_away
from crashcart.images.parts import ensure_parts, present
from crashcart.images.shop import shop_files, shop_tag
from crashcart.images.streams import FULL, FULL_REMEDY, EngineSaid, follow, is_full_disk
from crashcart.model.errors import UsageError
from crashcart.model.images import Images

if TYPE_CHECKING:
    import docker

_TIMEOUT_S = 900
"""No step says nothing for as long."""
_PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT")
# the engine knows these arguments by itself, and keeps them out of the history of every image
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_BUNDLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_BUNDLE_NAME = "ca.pem"


def build_shop(
    client: docker.DockerClient,
    project_root: Path,
    images: Images,
    progress: Callable[[str], None],
    *,
    no_cache: bool = False,
) -> str:
    """The shop's image, built where it is not there yet. Returns its tag. `progress` gets one line at a time.

    Raises:
        UsageError: no Dockerfile, no base image, a step failed (with its last lines), or the engine went away.
    """
    tag = shop_tag(project_root, images)
    if not no_cache and present(client, tag):
        return tag
    ensure_parts(client, images, ("python",), progress)
    _build(client, project_root, images, tag, progress, no_cache=no_cache)
    return tag


def build_arguments(images: Images, environment: Mapping[str, str]) -> dict[str, str]:
    """What the first stage is told: its base, and how pip reaches packages from here."""
    handed_on = {name: environment[name] for name in (*_PIP, *_PROXIES) if environment.get(name)}
    return {"PYTHON_IMAGE": images.parts["python"], **handed_on}


def ca_bundle(environment: Mapping[str, str]) -> Path | None:
    """The CA bundle by which Python here trusts its index, where the environment names one."""
    for variable in _BUNDLES:
        if environment.get(variable):
            path = Path(environment[variable])
            if not path.is_file():
                raise UsageError("there is no such file", where=f"{variable}={path}", remedy="correct it, or unset it")
            return path
    return None


def _build(
    client: docker.DockerClient,
    project_root: Path,
    images: Images,
    tag: str,
    progress: Callable[[str], None],
    *,
    no_cache: bool,
) -> None:
    from docker.errors import APIError

    files: dict[str, Path | bytes] = dict(shop_files(project_root, images))
    bundle = ca_bundle(os.environ)
    if bundle is not None:
        files[_BUNDLE_NAME] = bundle
    try:
        with packed(files) as context:
            stream = client.api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=images.shop.dockerfile,
                tag=tag,
                buildargs=build_arguments(images, os.environ),
                labels={"org.opencontainers.image.version": tag.rpartition(":")[2]},
                nocache=no_cache,
                rm=True,
                forcerm=True,
                # a proxy of this machine's loopback is reached as pip reaches it here
                network_mode="host",
                timeout=_TIMEOUT_S,
            )
            follow(stream, progress)
        if not present(client, tag):
            raise went_away(f"building {tag}")
    except EngineSaid as problem:
        raise _failed(tag, problem) from problem
    except APIError as problem:
        raise _failed(tag, EngineSaid(str(problem.explanation or problem))) from problem
    except engine_errors() as problem:
        raise went_away(f"building {tag}", problem) from problem


def _failed(tag: str, problem: EngineSaid) -> UsageError:
    step = f"\n  {problem.step}" if problem.step else ""
    last = "".join(f"\n  | {line}" for line in problem.last_lines)
    if is_full_disk(f"{problem}{last}"):
        what, remedy = FULL, FULL_REMEDY
    else:
        what, remedy = str(problem), "the step's last lines say what it missed; docs/61-images.md has the settings"
    return UsageError(f"the shop's image can not be built: {what}{step}{last}", where=tag, remedy=remedy)
