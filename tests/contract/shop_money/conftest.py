"""The rig: started once a session, with fresh books for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from crashcart.tools import Toolbox
    from tests.contract.shop_money.rig import Rig


@pytest.fixture(scope="session")
def running_rig(toolbox: Toolbox) -> Iterator[Rig]:
    from tests.contract.shop_money.rig import Rig
    from tests.contract.shop_money.servers import make_folder, remove_folder

    folder = make_folder()
    rig = Rig(toolbox, folder)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()
        remove_folder(folder)


@pytest.fixture
def rig(running_rig: Rig) -> Rig:
    """All links whole, everybody well behaved, everything up: what a test broke is mended before the next."""
    for link in running_rig.proxies:
        running_rig.mend(link)
    for outsider in ("psp-a", "psp-b", "mail"):
        running_rig.behave(outsider)
    running_rig.wait_ready()
    return running_rig
