"""What a run's containers are told in secret, overheard from the engine while they are there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from crashcart.images import connect
from crashcart.runtimes.containers import RUN_LABEL

EVERY_S = 0.5
TOKEN = "ADMIN_TOKEN="


def tokens() -> dict[str, str]:
    """Run's id → the token of its admin APIs, of every run that the engine has containers of."""
    client = connect()
    try:
        found = {}
        for one in client.containers.list(all=True, filters={"label": RUN_LABEL}, ignore_removed=True):
            for line in one.attrs["Config"]["Env"] or ():
                if line.startswith(TOKEN):
                    found[one.labels[RUN_LABEL]] = line.removeprefix(TOKEN)
        return found
    finally:
        client.close()


@contextmanager
def overheard() -> Iterator[dict[str, str]]:
    """The same, of all runs that there are within this block."""
    found: dict[str, str] = {}
    over = threading.Event()

    def listen() -> None:
        while not over.wait(EVERY_S):
            found.update(tokens())

    thread = threading.Thread(target=listen, name="overhearing", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
