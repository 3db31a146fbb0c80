"""Losing a share of the packets that reach a container: a rule of the kernel's packet filter in its network namespace.

Whoever sets it must be root; what the kernel or the machine lacks is said before anything starts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import lru_cache

from crashcart.model.errors import CrashcartError, NotUndone
from crashcart.processes import process_ref

WITHIN_S = 8.0
"""Longer than a packet filter that somebody else holds is waited for."""
_COMMENT = "crashcart"
_NO_SUCH_RULE = 1
"""Exit status of `iptables -C`; 2 to 4 are other troubles, such as a filter that somebody else holds."""
_PROGRAMS = ("nsenter", "unshare", "iptables")


@lru_cache(maxsize=1)
def lacks_packet_loss() -> str:
    """Why packets can't be lost here; empty where they can. It is tried, in a network that is thrown away."""
    if os.geteuid() != 0:
        return "only root can have packets dropped in a container's network, and this is not root"
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            return f"there is no {program} on PATH"
    tried = _run("unshare", "--net", *_rule("-A", 0.5))
    return "" if not tried else f"the kernel can't drop packets at random: {tried}"


def lose(pid: int, share: float) -> None:
    """Drop that share of what reaches the process's network, from now on. CrashcartError where it can't be done."""
    said = _run(*_inside(pid), *_rule("-A", share))
    if said:
        raise CrashcartError(f"packets can not be dropped: {said}", where=f"process {pid}")


def stop_losing(pid: int, share: float) -> None:
    """Take it back, however often it was done. A process that is gone has taken it with it.

    Raises:
        NotUndone: it is still there.
    """
    while _is_losing(pid, share):
        said = _run(*_inside(pid), *_rule("-D", share))
        if said:
            raise _still(pid, said)


def _is_losing(pid: int, share: float) -> bool:
    """NotUndone where it can't be told: then it is not known to be over."""
    status, said = _ask(*_inside(pid), *_rule("-C", share))
    if status == _NO_SUCH_RULE and not said.startswith("nsenter:"):
        return False
    if status and process_ref(pid) is not None:
        raise _still(pid, said)
    return status == 0


def _still(pid: int, said: str) -> NotUndone:
    return NotUndone(f"packets may still be dropped: {said}", where=f"process {pid}", remedy="kill the container")


def _inside(pid: int) -> tuple[str, ...]:
    return ("nsenter", "--target", str(pid), "--net")


def _rule(what: str, share: float) -> tuple[str, ...]:
    chance = ("-m", "statistic", "--mode", "random", "--probability", f"{share:.6f}")
    return ("iptables", "--wait", "5", what, "INPUT", *chance, "-m", "comment", "--comment", _COMMENT, "-j", "DROP")


def _run(*argv: str) -> str:
    """Empty where it went well, else what was said."""
    status, said = _ask(*argv)
    return "" if status == 0 else said


def _ask(*argv: str) -> tuple[int, str]:
    """(exit status, what was said); −1 where it could not be run, or did not end."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return -1, str(problem)
    return done.returncode, (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[0]
