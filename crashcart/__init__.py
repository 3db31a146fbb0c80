"""crashcart: chaos engineering for a shop under load.

The command line (`crashcart --help`) is the interface; what a run leaves behind is files.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
