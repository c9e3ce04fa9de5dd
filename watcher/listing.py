"""What a remote folder holds, from one listing: for questions about many files at once."""

import os
from collections import defaultdict
from collections.abc import Iterator
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
        places = {source_file_id: place for place, source_file_id in enumerate(sources)}
        held = []
        for task in tasks:
            for conversion in task.conversion_tasks:
                if (source := sources.pop(conversion.source_file_id or "", None)) is not None:
                    held.append(Held(source, task))
        newest_first = bool(held) and places[held[0].source.source_file_id] > places[held[-1].source.source_file_id]
        self._places = {each: -place if newest_first else place for each, place in places.items()}
        held += [Held(source, None) for source in sources.values()]
        self.lists_companions = bool(sources)
        """Whether files are listed that came with a model. When not, a server may list none, ever."""
        self._by_name: defaultdict[str, list[Held]] = defaultdict(list)
        self._by_size: defaultdict[tuple[int | None, str], list[Held]] = defaultdict(list)
        for each in held:
            name = last_part(each.source.source_file_original_name or each.source.name)
            self._by_name[name].append(each)
            self._by_size[each.source.size, extension_of(name)].append(each)

    def gap(self, main: Held, companion: Held) -> int:
        """How far behind a main file a companion is listed. Before it is farther than anywhere behind it: companions
        follow their main file."""
        gap = self._places[companion.source.source_file_id] - self._places[main.source.source_file_id]
        return gap if gap > 0 else len(self._places) - gap

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
