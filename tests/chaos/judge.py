"""Compares disk, ledger and server once everything is at rest: nothing lost, nothing twice, no false claim."""

import os
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.chaos import contents
from tests.chaos.proxy import MARKS, REJECTED_MARK
from tests.chaos.records import Records, digest_of, read_regular
from tests.chaos.subject import API_KEY, DropSpec, Subject
from watcher.api import AssetApi, NotFound

GOOD = {"done", "duplicate"}
MAINS = {*contents.SINGLE, "gltf"}
_REFERENCE = {
    "obj": re.compile(rb"^mtllib (.+)$", re.M),
    "mtl": re.compile(rb"^map_Kd (.+)$", re.M),
    "gltf": re.compile(rb'"uri": "([^"]+)"'),
}
_REFUSED = (*(mark.decode() for mark in MARKS), REJECTED_MARK)
_LOG_LINES = 12


class Promise(StrEnum):
    """What can be broken."""

    LOST = "lost"
    """A file on disk is not at rest, or its content not on the server where it belongs."""
    TWICE = "twice"
    """One content (or set of contents) is more than once in one remote folder."""
    FALSE = "false claims"
    """The ledger says what the server does not confirm."""
    ORPHAN = "orphans"
    """The server has what never was a whole file."""
    LEFT = "left behind"
    """The server still has what a tidy drop has no more."""
    SECRET = "secrets"
    """A key or token stands in something that the daemon wrote."""
    ALIVE = "surprises"
    """The process ended by itself, or does not end."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    promise: Promise
    what: str
    path: str | None = None
    """The local file that it is about."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A source file on the server."""

    source_file_id: str
    task: str
    folder: str
    name: str
    digest: str


@dataclass
class Verdict:
    """What the judge found."""

    violations: list[Violation] = field(default_factory=list)
    files: int = 0
    """Files on disk that had to arrive."""
    stored: int = 0
    """Source files on the server."""

    def count(self, promise: Promise) -> int:
        return sum(v.promise is promise for v in self.violations)

    @property
    def zeros(self) -> str:
        return ", ".join(f"{promise} = {self.count(promise)}" for promise in Promise)


class Judge:
    """Judges one subject; remembers what it downloaded."""

    def __init__(self, subject: Subject, records: Records) -> None:
        self._subject = subject
        self._records = records
        self._digests: dict[str, str] = {}

    def judge(self) -> Verdict:
        """Look at everything. The daemon must be at rest, and nobody may touch the drops."""
        verdict = Verdict()
        with AssetApi(self._subject.server.base_url, api_key=API_KEY) as api:
            self._api = api
            self._read_server()
            self._read_ledger()
            for drop in self._subject.drops:
                for path in _files(drop):
                    verdict.files += 1
                    verdict.violations += [Violation(p, what, path) for p, what in self._file(drop, path)]
            verdict.violations += self._twice()
            verdict.violations += self._orphans()
            verdict.violations += self._false_claims()
            verdict.violations += self._left_behind()
        verdict.violations += self._secrets()
        verdict.violations += [Violation(Promise.ALIVE, what) for what in self._subject.surprises]
        self._subject.surprises.clear()
        verdict.stored = len(self._stored)
        return verdict

    def explain(self, violation: Violation) -> str:
        """The violation with the story of its path, and what the daemon said of it."""
        lines = [f"{violation.promise}: {violation.what}"]
        if violation.path is not None:
            lines.append(f"  file: {violation.path!r}")
            lines += [f"    {event}" for event in self._records.story.get(violation.path, ())]
            name = os.path.basename(violation.path).encode(errors="surrogateescape")
            with open(self._subject.log, "rb") as log:
                said = [line.decode(errors="replace").rstrip() for line in log if name in line]
            lines += [f"    log: {line}" for line in said[-_LOG_LINES:]]
            lines += [f"    ledger: {row}" for row in [self._rows.get(violation.path)] if row]
        return "\n".join(lines)

    # -- what there is -----------------------------------------------------------------------------------------------

    def _read_server(self) -> None:
        """All that is in the subject's remote folders: the records from the server's own database (the API does not
        tell with which upload a companion came), the contents by download."""
        wanted = {drop.remote.split("/")[0] for drop in self._subject.drops}
        with closing(sqlite3.connect(f"file:{self._subject.server.data / 'emulator.db'}?mode=ro", uri=True)) as sql:
            folders = {row[0]: (row[1], row[2]) for row in sql.execute("SELECT folder_id, parent_id, name FROM folder")}
            files = sql.execute("SELECT source_file_id, upload_task_id, folder_id, original_name FROM source_file")
            rows = files.fetchall()
            self._tasks = {row[0] for row in sql.execute("SELECT upload_task_id FROM upload_task")}
        self._remote_path: dict[str, str] = {}
        for folder_id in folders:
            parts, at = [], folder_id
            while at is not None:
                at, name = folders[at]
                parts.append(name)
            if parts[-1] in wanted:
                self._remote_path[folder_id] = "/".join(reversed(parts))
        self._stored = [
            _Stored(source_file_id, task, folder, name, self._content(source_file_id))
            for source_file_id, task, folder, name in rows
            if folder in self._remote_path
        ]
        self._by_task: dict[str, list[_Stored]] = defaultdict(list)
        self._at: dict[str, set[str]] = defaultdict(set)
        for stored in self._stored:
            self._by_task[stored.task].append(stored)
            self._at[stored.digest].add(self._remote_path[stored.folder])

    def _content(self, source_file_id: str) -> str:
        if source_file_id not in self._digests:
            with self._api.source_files.download(source_file_id) as chunks:
                self._digests[source_file_id] = digest_of(b"".join(chunks))
        return self._digests[source_file_id]

    def _read_ledger(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {row["path"]: row for row in self._subject.status()["files"]}
        with self._subject.sql() as sql:
            self._uploads = sql.execute("SELECT * FROM uploads").fetchall()
            self._current = {
                row[0]
                for row in sql.execute(
                    "SELECT u.upload_task_id FROM uploads u JOIN files f ON f.id = u.main_id"
                    " JOIN members m ON m.upload_id = u.id AND m.position = 0"
                    " WHERE f.state != 'gone' AND (f.upload_id = u.id OR (f.role = 'companion' AND f.digest = m.digest)"
                    "  OR f.state = 'failed') OR f.id IN (SELECT l.companion_id FROM links l"
                    "   JOIN files o ON o.id = l.main_id AND o.state != 'gone')"
                )
            }
            self._members: dict[int, list[str]] = defaultdict(list)
            for row in sql.execute("SELECT upload_id, digest FROM members ORDER BY upload_id, position"):
                self._members[row["upload_id"]].append(row["digest"])
            self._assets: dict[int, set[str]] = defaultdict(set)
            for row in sql.execute("SELECT upload_id, asset_id FROM assets"):
                self._assets[row["upload_id"]].add(row["asset_id"])

    # -- one file on disk --------------------------------------------------------------------------------------------

    def _file(self, drop: DropSpec, path: str) -> Iterator[tuple[Promise, str]]:
        content = read_regular(path)
        assert content is not None
        digest, row = digest_of(content), self._rows.get(path)
        if row is None:
            yield Promise.LOST, "the ledger does not know the file"
            return
        if row["state"] == "failed":
            if (reason := self._unjustified(path, content, row)) is not None:
                yield Promise.LOST, reason
            return
        if row["state"] not in GOOD:
            yield Promise.LOST, f"its state is {row['state']}"
            return
        if row["digest"] not in {None, digest}:
            yield Promise.FALSE, f"the ledger's digest {row['digest']} is not the file's {digest}"
        if not self._at[digest] & self._homes(drop, path, digest):
            there = sorted(self._at[digest]) or "nowhere"
            yield Promise.LOST, f"the content {digest} is not in its remote folder; it is in {there}"
        if row["role"] == "main":
            yield from self._main(path, content, digest, row)

    def _main(self, path: str, content: bytes, digest: str, row: dict[str, Any]) -> Iterator[tuple[Promise, str]]:
        if row["source_file_id"] is None or self._digests.get(row["source_file_id"]) != digest:
            yield Promise.FALSE, f"its source file {row['source_file_id']} does not hold the content {digest}"
        if not row["assets"]:
            yield Promise.FALSE, "it has no assets"
        members = _companions(path, content)
        if any(digest_of(c) not in self._records.sound for c in (content, *members.values())):
            return  # what such files name is nobody's business
        wanted = sorted([digest, *map(digest_of, members.values())])
        sent = sorted(s.digest for s in self._by_task[row["upload_task_id"]])
        # What was sent stays when a companion goes away.
        if sent != wanted and (Counter(wanted) - Counter(sent) or self._complete(path, content, members)):
            yield Promise.LOST, f"its upload holds {len(sent)} files that are not the {len(wanted)} it consists of now"

    def _homes(self, drop: DropSpec, path: str, digest: str) -> set[str]:
        """The remote folders in which a content may lie: where the file is, or where one like it was before."""
        folders = {os.path.dirname(path), *self._records.places[digest]}
        return {
            remote(spec, folder)
            for folder in folders
            for spec in self._subject.drops
            if folder == str(spec.path) or folder.startswith(f"{spec.path}/")
        }

    def _unjustified(self, path: str, content: bytes, row: dict[str, Any]) -> str | None:
        """Why a file should not have failed; None when it should."""
        error = str(row["error"])
        name = os.path.basename(path)
        if name.startswith(_REFUSED):
            refused = re.search(r"HTTP 4\d\d", error) or "rejected" in error
            return None if refused else f"the server refused it; the reason given is: {error}"
        mains = {path, *row["mains"]}
        if "empty" in error and any(read_regular(main) == b"" for main in mains):
            return None
        sent_whole = content or row["role"] == "companion"
        if "conversion of" in error and sent_whole and any(not self._convertible(main) for main in mains):
            return None
        return f"it failed without need: {error}"

    def _convertible(self, path: str) -> bool:
        """Whether a model is sound, with all that it names."""
        content = read_regular(path)
        if content is None or digest_of(content) not in self._records.sound:
            return False
        members = _companions(path, content)
        sound = all(digest_of(companion) in self._records.sound for companion in members.values())
        return sound and self._complete(path, content, members)

    @staticmethod
    def _complete(path: str, content: bytes, members: dict[str, bytes]) -> bool:
        """Whether all is there that a model and its companions name."""
        named = [name for at, what in ({path: content} | members).items() for name in _named(at, what)]
        return {os.path.join(os.path.dirname(path), name) for name in named} <= set(members)

    # -- all of the server, all of the ledger ------------------------------------------------------------------------

    def _twice(self) -> Iterator[Violation]:
        paths = list(self._remote_path.values())
        for path in sorted({path for path in paths if paths.count(path) > 1}):
            yield Violation(Promise.TWICE, f"the remote folder {path} was created {paths.count(path)} times")
        seen: dict[tuple[str, object], list[str]] = defaultdict(list)
        for task, members in self._by_task.items():
            what = tuple(sorted((m.name, m.digest) for m in members)) if len(members) > 1 else members[0].digest
            seen[self._remote_path[members[0].folder], what].append(task)
        for (folder, what), tasks in seen.items():
            if len(tasks) > 1:
                names = [s.name for task in tasks for s in self._by_task[task]]
                local = next((p for p in self._rows if os.path.basename(p) == names[0]), None)
                yield Violation(Promise.TWICE, f"{what} is {len(tasks)} times in {folder}, as {names}", local)

    def _orphans(self) -> Iterator[Violation]:
        for stored in self._stored:
            if stored.digest not in self._records.complete:
                local = next((p for p in self._records.story if os.path.basename(p) == stored.name), None)
                yield Violation(Promise.ORPHAN, f"{stored.name!r} on the server was never a whole file", local)

    def _false_claims(self) -> Iterator[Violation]:
        for path, row in self._rows.items():
            if row["state"] != "gone" and not os.path.lexists(path):
                yield Violation(Promise.FALSE, f"the ledger says {row['state']} of a file that is not there", path)
        for upload in self._uploads:
            if upload["state"] not in {"sent", "success", "error"}:
                continue
            told = f"upload {upload['id']} ({upload['state']})"
            if upload["upload_task_id"] not in self._tasks:
                yield Violation(Promise.FALSE, f"{told}: the server knows no task {upload['upload_task_id']}")
            source_file_id, digests = upload["source_file_id"], self._members[upload["id"]]
            if source_file_id is not None and self._digests.get(source_file_id) != digests[0]:
                yield Violation(Promise.FALSE, f"{told}: source file {source_file_id} does not hold {digests[0]}")
            if upload["state"] != "success":
                continue
            sent = sorted(s.digest for s in self._by_task[upload["upload_task_id"]])
            if sent != sorted(digests):
                yield Violation(Promise.FALSE, f"{told}: the server holds other contents than the ledger says")
            try:
                made = {ref for _, ref, _ in self._api.source_files.assets(source_file_id or "none").refs()}
            except NotFound:
                made = set()
            if unknown := self._assets[upload["id"]] - made:
                yield Violation(Promise.FALSE, f"{told}: assets that the server does not know: {sorted(unknown)}")

    def _left_behind(self) -> Iterator[Violation]:
        """In tidy drops every upload is the present version of a file that is there, or its last good ones."""
        tidy = tuple(drop.remote for drop in self._subject.drops if drop.tidy)
        for task, members in self._by_task.items():
            where = self._remote_path[members[0].folder]
            if where.startswith(tidy) and task not in self._current:
                names = [stored.name for stored in members]
                local = next((p for p in self._records.story if os.path.basename(p) == names[0]), None)
                yield Violation(Promise.LEFT, f"{names} (task {task}) in {where} are of no file that is there", local)

    def _secrets(self) -> Iterator[Violation]:
        places = [self._subject.log, *(p for p in self._subject.state.rglob("*") if p.is_file())]
        for place in places:
            written = place.read_bytes()
            for secret in {API_KEY, *self._subject.proxy.credentials}:
                if secret.encode() in written:
                    yield Violation(Promise.SECRET, f"{place} holds a credential", None)


def remote(drop: DropSpec, folder: str) -> str:
    """The remote folder of a local one."""
    below = os.path.relpath(folder, drop.path)
    if not drop.mirror or below == ".":
        return drop.remote
    return "/".join([drop.remote, *(os.fsencode(p).decode(errors="backslashreplace") for p in below.split("/"))])


def _files(drop: DropSpec) -> Iterator[str]:
    """The files of a drop that must arrive: those that go by themselves, and those that a model beside them names."""
    for folder, folders, names in os.walk(drop.path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [os.path.join(folder, name) for name in sorted(names) if not name.startswith(".")]
        named: set[str] = set()
        for path in paths:
            content = read_regular(path)
            if content is None or _extension(path) not in MAINS:
                continue
            named |= set(_companions(path, content))
            yield path
        yield from (path for path in sorted(named) if _extension(path) not in MAINS)


def _companions(path: str, content: bytes) -> dict[str, bytes]:
    """The companions of a model that are there, with their contents, by path."""
    found: dict[str, bytes] = {}
    for name in _named(path, content):
        companion = os.path.join(os.path.dirname(path), name)
        there = read_regular(companion)
        if there is not None and companion != path:
            found[companion] = there
            found |= _companions(companion, there) if _extension(companion) == "mtl" else {}
    return found


def _named(path: str, content: bytes) -> list[str]:
    pattern = _REFERENCE.get(_extension(path))
    return [] if pattern is None else [os.fsdecode(name) for name in pattern.findall(content)]


def _extension(path: str) -> str:
    return os.path.basename(path).rpartition(".")[2]
