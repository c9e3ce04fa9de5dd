"""Which symbolic links are followed."""

import os

from watcher.intake.rules import PassedOver, Reason
from watcher.model import Drop

_NOT_FOLLOWED = PassedOver(Reason.UNSUPPORTED, "a symbolic link: links are not followed")
_INSIDE = PassedOver(Reason.UNSUPPORTED, "a symbolic link to something in the drop, which is taken by its own name")
_LOOP = PassedOver(Reason.UNSUPPORTED, "a symbolic link to a folder that it lies in")
_NOTHING = PassedOver(Reason.UNSUPPORTED, "a symbolic link to nothing")


class Links:
    """The rule of one drop. A link that is followed may lead anywhere outside the drop."""

    def __init__(self, drop: Drop) -> None:
        self._drop = drop

    def refusal(self, link: str) -> PassedOver | None:
        """Why a symbolic link in the drop is not followed; None when it is."""
        if not self._drop.follow_symlinks:
            return _NOT_FOLLOWED
        try:
            target = os.path.realpath(link, strict=True)
            if target == self._drop.path or target.startswith(self._drop.path.rstrip(os.sep) + os.sep):
                return _INSIDE
            status = os.stat(target)
            above = os.path.dirname(link)
            while len(above) >= len(self._drop.path):
                if os.path.samestat(status, os.stat(above)):
                    return _LOOP
                above = os.path.dirname(above)
        except OSError:  # a link to itself, too
            return _NOTHING
        return None
