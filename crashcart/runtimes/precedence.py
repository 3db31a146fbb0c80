"""Who comes first where there is less processor time than is wanted: the load, as if it had a machine of its own.

Shoppers do not come later because the shop is busy. Where both share a machine that is fully used, they would, and the
run would not count. More than their turn they do not get: the load waits for answers most of its time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NICE = -10
"""About nine turns to one of the shop's. setpriority(2), sched(7)."""
PROC = Path("/proc")


def come_first(pid: int, nice: int = NICE) -> bool:
    """Let a process that was just started go before others, with all its later threads; False where we may not.

    That takes root, or CAP_SYS_NICE. Where the kernel groups by session, as it does on most desktops and servers, it is
    the group that must come first.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    except OSError:
        return False
    with suppress(OSError):  # a kernel without groups by session
        (PROC / str(pid) / "autogroup").write_text(f"{nice}\n", encoding="ascii")
    return True
