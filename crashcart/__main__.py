"""`python -m crashcart` is `crashcart`."""

from crashcart.cli import main

if __name__ == "__main__":
    main()
