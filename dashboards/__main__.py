"""`python -m dashboards`: writes each dashboard's JSON into `dashboards/grafana/`."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "grafana"


def generated() -> dict[str, str]:
    """The name of each file in `dashboards/grafana/` and what is in it."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    from crashcart.loading import open_project
    from dashboards import books, game_day, load, shop

    slos = open_project(Path(__file__).parents[1]).slos
    boards = {"game-day": game_day.build(slos), "shop": shop.build(), "books": books.build(), "load": load.build()}
    return {
        f"{name}.json": JSONEncoder(sort_keys=True, indent=1).encode(board) + "\n" for name, board in boards.items()
    }


def main() -> None:
    """Write them all; exit 2 where the SDK is not there."""
    try:
        files = generated()
    except ModuleNotFoundError as missing:
        if missing.name is None or not missing.name.startswith("grafana_foundation_sdk"):
            raise
        sys.exit("grafana-foundation-sdk is not installed; it is in the extra `dev`: pip install 'crashcart[dev]'")
    FOLDER.mkdir(exist_ok=True)
    for name, text in files.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
