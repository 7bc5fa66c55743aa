"""The command line: one file per command, thin shells over the public call."""

from conservator.cli.app import app, main

__all__ = ["app", "main"]
