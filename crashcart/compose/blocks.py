"""Parts that several services of a Compose file have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crashcart.model.images import Images

SHOP_BUILD, LOAD_BUILD = "build/shop", "build/load"
_HANDED_TO_PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_OFTEN = {"interval": "5s", "timeout": "4s", "retries": 12}
# no program but the image's own interpreter, and neither its packages nor its start-up files
_ASK = (
    "import socket; c = socket.create_connection(('127.0.0.1', {port}), 2);"
    " c.sendall(b'GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n');"
    " raise SystemExit(c.recv(12)[9:] != b'200')"
)

Block = dict[str, Any]
"""A part of the document, as YAML has it."""


@dataclass(frozen=True, slots=True)
class Built:
    """What the two images are called that are built from the folder itself."""

    shop: str
    load: str
    load_dockerfile: str


def of_shop(images: Images, built: Built) -> Block:
    """The image of a service that is a command."""
    return {"image": built.shop, "build": build_of(built.shop, SHOP_BUILD, images.shop.dockerfile, images)}


def build_of(tag: str, context: str, dockerfile: str, images: Images) -> Block:
    """With pip's settings and the proxies of whoever builds; on the machine's network, as theirs may be on it.

    The label is that of `crashcart images build`: whoever builds a tag first, it is the same image.
    """
    arguments = [f"PYTHON_IMAGE={images.parts['python']}", *_HANDED_TO_PIP, *_PROXIES]
    version = {"org.opencontainers.image.version": tag.rpartition(":")[2]}
    return {"context": context, "dockerfile": dockerfile, "network": "host", "args": arguments, "labels": version}


def confined() -> Block:
    """What none of ours needs: a disk, and rights of root."""
    return {
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - inside the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }


def answers(python: str, port: int, path: str) -> Block:
    """A health check of an image that holds Python."""
    return {"test": ["CMD", python, "-I", "-S", "-c", _ASK.format(port=port, path=path)], **_OFTEN}


def published(variable: str, port: int, inside: int) -> str:
    """On this machine alone; `variable` of the environment names another port."""
    return f"127.0.0.1:${{{variable}:-{port}}}:{inside}"


def literal(text: str) -> str:
    """Compose puts variables in the place of `$`."""
    return text.replace("$", "$$")
