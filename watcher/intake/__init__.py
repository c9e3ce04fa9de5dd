"""Intake: what is in the drop folders, and when is it complete?"""

from watcher.intake.drops import Intake
from watcher.intake.observe import Hint

__all__ = ["Hint", "Intake"]
