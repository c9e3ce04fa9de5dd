"""Plan: which files belong together. A model travels with the files that it names.

Nothing here knows a clock, the network or the ledger; the disk is behind :class:`Look`.
"""

from watcher.plan.assembly import Assembly, Look, Member, Missing, assemble
from watcher.plan.disk import DiskLook
from watcher.plan.readers import READERS
from watcher.plan.references import can_refer, gathers, is_scene, may_be_part, read_references

__all__ = [
    "READERS",
    "Assembly",
    "DiskLook",
    "Look",
    "Member",
    "Missing",
    "assemble",
    "can_refer",
    "gathers",
    "is_scene",
    "may_be_part",
    "read_references",
]
