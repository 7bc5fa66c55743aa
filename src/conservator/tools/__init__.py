"""The specialists: one tool, one file; `conservator.tools.registry` finds every one of them by itself."""
