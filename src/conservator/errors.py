"""Errors that name the reader's next move; every message carries got, wanted and fix."""

from __future__ import annotations


class ConservatorError(Exception):
    """Base of every error raised on purpose.

    got     what was found
    wanted  what would have worked
    fix     what the reader can do now
    """

    exit_code = 1

    def __init__(self, got: str, wanted: str = "", fix: str = "") -> None:
        self.got, self.wanted, self.fix = got, wanted, fix
        parts = [got, f"wanted {wanted}" if wanted else "", fix]
        super().__init__("; ".join(part for part in parts if part))

    def to_dict(self) -> dict[str, str]:
        """JSON-ready: type, got, wanted and fix."""
        return {"type": type(self).__name__, "got": self.got, "wanted": self.wanted, "fix": self.fix}

    def __reduce__(self) -> tuple[type[ConservatorError], tuple[str, str, str]]:
        return type(self), (self.got, self.wanted, self.fix)


class InputError(ConservatorError):
    """The file or array cannot be used: fix the input."""

    exit_code = 3


class UsageError(ConservatorError, ValueError):
    """The call is wrong: fix the arguments."""

    exit_code = 2


class OutputError(ConservatorError):
    """The result cannot be written: fix the destination."""

    exit_code = 4


class ToolFailed(ConservatorError):
    """A tool broke or returned nonsense: use another tool; the photo is unchanged."""

    exit_code = 5


class BudgetExceeded(ConservatorError):
    """The call's own limits were reached: raise the budget."""

    exit_code = 6


class ModelMissing(ConservatorError):
    """A weights file or an optional package is absent: install it."""

    exit_code = 7


class ToolDefinitionError(ConservatorError, TypeError):
    """A tool's function or card contradicts the contract; raised at import."""
