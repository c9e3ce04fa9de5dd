"""What can be wrong with a configuration, told so that it can be put right."""

from dataclasses import dataclass

from watcher.spelling import harmless


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    origin: str
    """Where the value stands: ``FILE:LINE``, ``environment variable NAME`` or a command line option; may be empty."""
    key: str
    """The key as a person would write it, such as ``[upload] workers``; may be empty."""
    message: str

    def __str__(self) -> str:
        return harmless(": ".join(part for part in (self.origin, self.key, self.message) if part))


class ConfigError(Exception):
    """The configuration cannot be used; the text is one line for each problem."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
