"""`python -m conservator` is the same as `conservator`."""

from conservator.cli import main

if __name__ == "__main__":
    main()
