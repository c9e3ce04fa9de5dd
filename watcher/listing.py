"""What a remote folder holds, from one listing: for questions about many files at once."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from watcher.api import AssetApi, NotFound
from watcher.api.models import SourceFile, UploadTask
from watcher.arrival import last_part, spellings
from watcher.formats import extension_of


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A file that lies in a remote folder, and the upload that brought it."""

    source: SourceFile
    task: UploadTask | None
    """None when no upload task of this folder speaks of it: it was moved here, or is a companion."""


class Listing:
    """The source files of one remote folder, with their upload tasks; the oldest upload first."""

    def __init__(self, api: AssetApi, folder_id: str) -> None:
        """Ask the server. A folder that is gone holds nothing.

        Raises:
            ApiError: the server cannot be asked.
        """
        try:
            tasks = sorted(api.folders.upload_tasks(folder_id), key=lambda task: task.uploaded_at or "")
            sources = {source.source_file_id: source for source in api.folders.source_files(folder_id)}
        except NotFound:
            tasks, sources = [], {}
        task_of = {each.source_file_id: task for task in tasks for each in task.conversion_tasks if each.source_file_id}
        held = [Held(source, task_of.get(source_file_id)) for source_file_id, source in sources.items()]
        age = {task.upload_task_id: place for place, task in enumerate(tasks)}
        with_task = [age[each.task.upload_task_id] for each in held if each.task is not None]
        if with_task and with_task[0] > with_task[-1]:
            held.reverse()  # the server lists the newest first
        self._came_with = _together(held)
        held.sort(key=lambda each: age[each.task.upload_task_id] if each.task is not None else len(age))
        self.lists_companions = any(each.task is None for each in held)
        """Whether files are listed that came with a model. When not, a server may list none, ever."""
        self._by_name: defaultdict[str, list[Held]] = defaultdict(list)
        self._by_size: defaultdict[tuple[int | None, str], list[Held]] = defaultdict(list)
        for each in held:
            name = last_part(each.source.source_file_original_name or each.source.name)
            self._by_name[name].append(each)
            self._by_size[each.source.size, extension_of(name)].append(each)

    def came_with(self, main: Held) -> list[Held]:
        """The files that came in the same upload, as far as the order of the list tells."""
        return [each for each in self._came_with.get(main, ()) if each is not main]

    def named(self, name: str, size: int | None = None) -> Iterator[Held]:
        """The files of this name, whatever folder of its own each came from; with ``size`` only those of so many
        bytes."""
        for spelling in spellings(name):
            for held in self._by_name.get(spelling, ()):
                if size is None or held.source.size in (None, size):
                    yield held

    def sized(self, name: str, size: int) -> Iterator[Held]:
        """The files of so many bytes that bear the extension of ``name``, whatever they are called."""
        yield from self._by_size.get((size, extension_of(os.path.basename(name))), ())


def _together(held: Iterable[Held]) -> dict[Held, list[Held]]:
    """Files by the upload that they came in, from a list that begins with the oldest. Only what is converted for itself
    names its upload task; its companions follow it."""
    together: dict[Held, list[Held]] = {}
    group: list[Held] = []
    task: UploadTask | None = None
    for each in held:
        if each.task is not None and each.task is not task:
            task, group = each.task, []
        group.append(each)
        together[each] = group
    return together
