"""A design as a Compose file, with all that it mounts and builds in one folder."""

from crashcart.compose.exporting import exported_files
from crashcart.compose.writing import write_export

__all__ = ["exported_files", "write_export"]
