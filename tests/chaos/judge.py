"""Compares disk, ledger and server once everything is at rest: nothing lost, nothing twice, no false claim."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.chaos import contents
from tests.chaos.proxy import MARKS, REJECTED_MARK
from tests.chaos.records import Records, digest_of, read_regular
from tests.chaos.subject import API_KEY, DropSpec, Subject
from watcher.api import AssetApi, NotFound
from watcher.arrival import same_name

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

    name: str
    folder: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Upload:
    """An upload that the ledger believes to be on the server."""

    row: dict[str, Any]
    digests: list[str]
    """Of its files, the main one first."""
    key: object
    """Equal for equal contents."""


_UPLOADS = """
SELECT u.*, f.name, d.path AS dir,
    f.state != 'gone' AND (f.upload_id = u.id OR f.state = 'failed' OR (f.role = 'companion' AND f.digest = m.digest))
    OR EXISTS (SELECT 1 FROM links l JOIN files o ON o.id = l.main_id WHERE l.companion_id = f.id AND o.state != 'gone')
    AS needed,
    u.state = 'replace'
    OR u.state = 'error' AND u.source_file_id IS NULL AND u.error LIKE 'the server no longer knows the upload task%'
    AS may_be_there
FROM uploads u JOIN files f ON f.id = u.main_id JOIN dirs d ON d.id = f.dir_id
JOIN members m ON m.upload_id = u.id AND m.position = 0
WHERE u.state IN ('sent', 'success', 'error', 'replace')
"""
"""What the server is to have. It may have the files of what it has lost the task of, and of what was to be tried again
until its file changed or went away. Needed is what a file stands on, and what a model that is there was sent with."""


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

    def judge(self, *, rests: bool = True) -> Verdict:
        """Look at everything. Nobody may touch the drops meanwhile.

        Args:
            rests: whether the daemon came to rest in the time that it had.
        """
        verdict = Verdict()
        if not rests:
            verdict.violations.append(Violation(Promise.LOST, "the daemon does not come to rest"))
        with AssetApi(self._subject.server.base_url, api_key=API_KEY) as api:
            self._api = api
            self._read_server()
            self._read_ledger()
            for drop in self._subject.drops:
                for path in _files(drop):
                    verdict.files += 1
                    verdict.violations += [Violation(p, what, path) for p, what in self._file(drop, path)]
            verdict.violations += self._twice()
            verdict.violations += self._copies()
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
        """All that is in the subject's remote folders."""
        wanted = {drop.remote.split("/")[0] for drop in self._subject.drops}
        folders = {folder.folder_id: folder for folder in self._api.folders.iterate()}
        self._remote_path: dict[str, str] = {}
        for folder_id in folders:
            parts: list[str] = []
            at: str | None = folder_id
            while at is not None:
                parts.append(folders[at].name)
                at = folders[at].parent_folder_id
            if parts[-1] in wanted:
                self._remote_path[folder_id] = "/".join(reversed(parts))
        self._tasks = {task.upload_task_id for task in self._api.upload_tasks.iterate()}
        self._stored = {
            file.source_file_id: _Stored(file.source_file_original_name, folder_id, self._content(file.source_file_id))
            for folder_id in self._remote_path
            for file in self._api.folders.source_files(folder_id)
        }
        self._at: dict[str, set[str]] = defaultdict(set)
        for stored in self._stored.values():
            self._at[stored.digest].add(self._remote_path[stored.folder])

    def _content(self, source_file_id: str) -> str:
        if source_file_id not in self._digests:
            with self._api.source_files.download(source_file_id) as chunks:
                self._digests[source_file_id] = digest_of(b"".join(chunks))
        return self._digests[source_file_id]

    def _read_ledger(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {row["path"]: row for row in self._subject.status()["files"]}
        with self._subject.sql() as sql:
            members: dict[int, list[tuple[bytes, str]]] = defaultdict(list)
            for row in sql.execute("SELECT upload_id, name, digest FROM members ORDER BY upload_id, position"):
                members[row["upload_id"]].append((row["name"], row["digest"]))
            uploads = [
                _Upload(dict(row), [digest for _, digest in members[row["id"]]], _content_key(members[row["id"]]))
                for row in sql.execute(_UPLOADS)
            ]
            self._uploads = [upload for upload in uploads if not upload.row["may_be_there"]]
            self._may_be_there = [upload for upload in uploads if upload.row["may_be_there"]]
            self._told = {row["source_file_id"] for row in sql.execute("SELECT source_file_id FROM halves")}
            self._assets: dict[int, set[str]] = defaultdict(set)
            for row in sql.execute("SELECT upload_id, asset_id FROM assets"):
                self._assets[row["upload_id"]].add(row["asset_id"])
        self._by_source = {upload.row["source_file_id"]: upload for upload in self._uploads}

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
        if not self._holds(row["source_file_id"], digest):
            yield Promise.FALSE, f"its source file {row['source_file_id']} does not hold the content {digest}"
        if not row["assets"]:
            yield Promise.FALSE, "it has no assets"
        members = _companions(path, content)
        if any(digest_of(c) not in self._records.sound for c in (content, *members.values())):
            return  # what such files name is nobody's business
        wanted = sorted([digest, *map(digest_of, members.values())])
        upload = self._by_source.get(row["source_file_id"])
        sent = sorted(upload.digests) if upload else []
        # What was sent stays when a companion goes away.
        if sent != wanted and (Counter(wanted) - Counter(sent) or self._complete(path, content, members)):
            yield Promise.LOST, f"its upload holds {len(sent)} files that are not the {len(wanted)} it consists of now"

    def _holds(self, source_file_id: str | None, digest: str) -> bool:
        """Whether the server has this source file, with this content."""
        stored = self._stored.get(source_file_id or "")
        return stored is not None and stored.digest == digest

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
        paths = Counter(self._remote_path.values())
        for path, times in paths.items():
            if times > 1:
                yield Violation(Promise.TWICE, f"the remote folder {path} was created {times} times")
        contents_of_folders = Counter((upload.row["folder_id"], upload.key) for upload in self._uploads)
        for (folder_id, key), times in contents_of_folders.items():
            if times > 1:
                yield Violation(Promise.TWICE, f"{key} was sent {times} times to {self._remote_path.get(folder_id)}")

    def _copies(self) -> Iterator[Violation]:
        """How often each content is in a folder, on the server and by the ledger. Which file came with which upload
        the server does not tell, and it does not matter. Of what may be left of a lost upload a person is told."""
        there = Counter((stored.folder, stored.digest) for stored in self._stored.values())
        told = Counter((stored.folder, stored.digest) for id_, stored in self._stored.items() if id_ in self._told)
        known, may_be = (
            Counter((upload.row["folder_id"], digest) for upload in uploads for digest in upload.digests)
            for uploads in (self._uploads, self._may_be_there)
        )
        names = {(stored.folder, stored.digest): stored.name for stored in self._stored.values()}
        for (folder_id, digest), times in (there - known - may_be - told).items():
            name, claims = names[folder_id, digest], known[folder_id, digest]
            what = f"{name!r} ({digest}) is {times + claims} times in {self._remote_path[folder_id]}"
            promise = Promise.TWICE if claims else Promise.LEFT
            yield Violation(promise, f"{what}, the ledger knows of {claims}", self._path_of(name))
        for (folder_id, digest), times in (known - there).items():
            where = self._remote_path.get(folder_id, folder_id)
            yield Violation(Promise.FALSE, f"{digest} is to be in {where} {times} times more than it is")

    def _orphans(self) -> Iterator[Violation]:
        for stored in self._stored.values():
            if stored.digest not in self._records.complete:
                what = f"{stored.name!r} on the server was never a whole file"
                yield Violation(Promise.ORPHAN, what, self._path_of(stored.name))

    def _false_claims(self) -> Iterator[Violation]:
        for path, row in self._rows.items():
            if row["state"] != "gone" and not os.path.lexists(path):
                yield Violation(Promise.FALSE, f"the ledger says {row['state']} of a file that is not there", path)
        for upload in self._uploads:
            row, source_file_id = upload.row, upload.row["source_file_id"]
            told = f"upload {row['id']} ({row['state']}, task {row['upload_task_id']})"
            if row["upload_task_id"] not in self._tasks and not (row["upload_task_id"] is None and source_file_id):
                yield Violation(Promise.FALSE, f"{told}: the server knows no such task")
            if source_file_id is not None and not self._holds(source_file_id, upload.digests[0]):
                yield Violation(Promise.FALSE, f"{told}: source file {source_file_id} is not {upload.digests[0]}")
            if row["state"] != "success":
                continue
            try:
                made = {ref for _, ref, _ in self._api.source_files.assets(source_file_id or "none").refs()}
            except NotFound:
                made = set()
            if unknown := self._assets[row["id"]] - made:
                yield Violation(Promise.FALSE, f"{told}: assets that the server does not know: {sorted(unknown)}")

    def _left_behind(self) -> Iterator[Violation]:
        """What a tidy drop sent is the present version of a file that is there, or the last good ones of it; or its
        file went to another drop."""
        tidy = [drop for drop in self._subject.drops if drop.tidy]
        for upload in self._uploads:
            where = self._remote_path.get(upload.row["folder_id"], "")
            drop = next((d for d in tidy if where == d.remote or where.startswith(f"{d.remote}/")), None)
            if drop is None or upload.row["needed"]:
                continue
            places = self._records.places[upload.digests[0]]
            if all(place == str(drop.path) or place.startswith(f"{drop.path}/") for place in places):
                path = os.path.join(os.fsdecode(upload.row["dir"]), os.fsdecode(upload.row["name"]))
                yield Violation(Promise.LEFT, f"upload {upload.row['id']} in {where} is of no file that is there", path)

    def _path_of(self, name: str) -> str | None:
        """The local file, seen last, that bears the name of one on the server."""
        return next((p for p in reversed(self._records.story) if same_name(name, os.path.basename(p))), None)

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
    named = [os.path.join(os.path.dirname(path), name) for name in _named(path, content)]
    if _extension(path) == "obj" and named and not any(read_regular(companion) is not None for companion in named):
        named.append(path.removesuffix("obj") + "mtl")  # as of a model that was renamed after its export
    for companion in named:
        there = read_regular(companion)
        if there is not None and companion != path:
            found[companion] = there
            found |= _companions(companion, there) if _extension(companion) == "mtl" else {}
    return found


def _named(path: str, content: bytes) -> list[str]:
    pattern = _REFERENCE.get(_extension(path))
    return [] if pattern is None else [os.fsdecode(name) for name in pattern.findall(content)]


def _content_key(members: list[tuple[bytes, str]]) -> object:
    """What an upload set is known by: one file by its content, several by names and contents."""
    return members[0][1] if len(members) == 1 else tuple(sorted(members))


def _extension(path: str) -> str:
    return os.path.basename(path).rpartition(".")[2]
