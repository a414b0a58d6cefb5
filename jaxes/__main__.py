"""`python -m jaxes`, the same as `jaxes`."""

from jaxes.cli import main

if __name__ == "__main__":
    main()
