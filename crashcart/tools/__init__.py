"""The programs a run needs that are not Python: Postgres, Valkey, Toxiproxy, Prometheus. Found, or made once per user.

`find_tools` is what a run calls: fast, and it never makes anything. `setup` makes what is missing.
"""

from crashcart.tools.account import ServerAccount, server_account
from crashcart.tools.cache import cache_dir
from crashcart.tools.doctor import Finding, doctor
from crashcart.tools.provision import find_tools, make_promtool, psql_folder, setup
from crashcart.tools.toolbox import Tool, Toolbox

__all__ = [
    "Finding",
    "ServerAccount",
    "Tool",
    "Toolbox",
    "cache_dir",
    "doctor",
    "find_tools",
    "make_promtool",
    "psql_folder",
    "server_account",
    "setup",
]
