"""Intake: what is in the drop folders, and when is it complete?"""

from watcher.intake.loop import Intake
from watcher.intake.observe import Hint, Hints

__all__ = ["Hint", "Hints", "Intake"]
