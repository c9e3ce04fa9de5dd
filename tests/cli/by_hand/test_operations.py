"""Every operation of the API that is no rendering session is reachable from the command line."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from watcher.api import AssetApi, operation
from watcher.api.operation import Operation
from watcher.api.sessions import Sessions
from watcher.cli import cli

GROUPS = ("folders", "sources", "assets", "users", "groups", "tasks")
NO_SHADER = "11111111-2222-3333-4444-555555555555"


def operations() -> set[str]:
    """The ids of all operations, but those of sessions."""
    return {
        method.operation.id
        for resource in vars(AssetApi("http://127.0.0.1:1/app/v1", api_key="none")).values()
        if not isinstance(resource, Sessions)
        for _, method in inspect.getmembers(type(resource))
        if hasattr(method, "operation")
    }


def leaves(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    """The words of each command below a group."""
    if not isinstance(command, click.Group):
        yield path
        return
    for name in command.list_commands(click.Context(command)):
        below = command.get_command(click.Context(command), name)
        assert below is not None
        yield from leaves(below, *path, name)


class Recorder:
    """Which operations were called, and which commands were typed."""

    def __init__(self, types, monkeypatch: pytest.MonkeyPatch) -> None:
        self._types = types
        self.called: set[str] = set()
        self.typed: set[tuple[str, ...]] = set()
        call = Operation.__call__

        def recording(itself: Operation, *args, **kwargs):
            self.called.add(itself.id)
            return call(itself, *args, **kwargs)

        monkeypatch.setattr(operation.Operation, "__call__", recording)
        self._leaves = {leaf for group in GROUPS for leaf in leaves(cli.get_command(click.Context(cli), group), group)}

    def __call__(self, *words, code: int = 0):
        answer = self._types(*words, code=code)
        self.typed |= {leaf for leaf in self._leaves if tuple(map(str, words[: len(leaf)])) == leaf}
        return answer

    @property
    def untyped(self) -> set[tuple[str, ...]]:
        return self._leaves - self.typed


def test_every_operation_that_is_no_session_is_reachable(types, home, cube, picture, tmp_path, monkeypatch):
    does = Recorder(types, monkeypatch)
    _folders(does, home)
    _sources_and_tasks(does, home, cube)
    _assets(does, home, picture, tmp_path)
    _users_and_groups(does, home)
    assert not does.untyped
    assert operations() - does.called == set()
    assert len(operations()) == 71  # the contract's 80 without its 9 below /sessions


def _folders(does, home: str) -> None:
    does("folders", "create", f"{home} too")
    does("folders", "create", f"{home}/In")
    does("folders", "create", f"{home}/Out/Deep", "--parents")
    does("folders", "ls")
    does("folders", "ls", home)
    does("folders", "tree", home)
    does("folders", "show", home)
    does("folders", "rename", f"{home}/Out/Deep", "Deeper")
    does("folders", "mv", f"{home}/Out/Deeper", "--to", f"{home}/In")
    does("folders", "rm", f"{home}/In/Deeper", "--yes")
    does("folders", "sessions", home, code=1)  # the emulator does not render


def _sources_and_tasks(does, home: str, cube: Path) -> None:
    task = does("sources", "upload", cube, "--to", f"{home}/In", "--wait", "--json").json[0]
    does("sources", "ls")
    does("sources", "ls", f"{home}/In")
    does("sources", "show", f"{home}/In/cube.obj")
    does("sources", "assets", f"{home}/In/cube.obj")
    does("sources", "download", f"{home}/In/cube.obj")
    does("sources", "rename", f"{home}/In/dots.png", "spots")
    does("sources", "mv", f"{home}/In/spots", "--to", f"{home}/Out")
    does("sources", "rm", f"{home}/Out/spots", "--yes")
    does("tasks", "ls")
    does("tasks", "ls", "--folder", f"{home}/In")
    does("tasks", "show", task["upload_task_id"])
    does("tasks", "wait", task["upload_task_id"])
    does("tasks", "metadata", task["conversion_tasks"][0]["conversion_task_id"], "log.txt")


def _assets(does, home: str, picture: bytes, tmp_path: Path) -> None:
    scene, mesh = f"scene:{home}/In/cube", does("assets", "ls", f"{home}/In", "--type", "mesh").lines[0][0]
    texture = does("assets", "ls", f"{home}/In", "--type", "texture").lines[0][0]
    does("assets", "ls")
    does("assets", "show", scene)
    for words in ("description", "history", "meta", "dependencies"):
        does("assets", words, scene)
    does("assets", "references", mesh)
    does("assets", "payload", mesh, "--to", tmp_path / "payload")
    does("assets", "export", mesh, "--format", "stl")
    does("assets", "download", mesh, "--to", tmp_path / "files")
    does("assets", "package", scene, "--to", tmp_path / "cube.zip")
    does("assets", "import", tmp_path / "cube.zip", "--to", f"{home}/Out", "--overwrite", "always")
    (tmp_path / "picture.png").write_bytes(picture)
    does("assets", "thumbnail", "set", mesh, tmp_path / "picture.png")
    does("assets", "thumbnail", "get", mesh, "--to", tmp_path / "thumbnail.png")
    does("assets", "duplicate", scene, "--to", f"{home}/Out", "--name", "copy")
    does("assets", "create", "module", "words", "--to", f"{home}/Out")
    does("assets", "custom-types", f"{home}/Out/words")
    does("assets", "code", f"{home}/Out/words")
    data = json.dumps({"albedo": [1, 0, 0]})
    does("assets", "create-material", "red", "--to", f"{home}/Out", "--shader", NO_SHADER, "--data", data)
    does("assets", "create-cubemap", "sky", *[texture] * 6, "--to", f"{home}/Out")
    _scene(does, f"{home}/Out/copy")
    does("assets", "rename", f"{home}/Out/words", "sentences")
    does("assets", "mv", f"{home}/Out/sentences", "--to", f"{home}/In")
    does("assets", "rm", f"{home}/In/sentences", "--yes")
    does("assets", "rm", f"{home}/Out/red", f"{home}/Out/sky", "--yes")


def _scene(does, scene: str) -> None:
    entity = does("assets", "scene", "create", scene, '{"debug_name": {"value": "lamp"}}').out.strip()
    does("assets", "scene", "ls", scene)
    does("assets", "scene", "show", scene, entity, "--global-transform")
    does("assets", "scene", "update", scene, entity, json.dumps({"local_transform": {"position": [1, 2, 3]}}))
    does("assets", "scene", "rm", scene, entity, "--yes")
    for words in ("aabb", "settings", "sessions"):
        does("assets", "scene", words, scene)


def _users_and_groups(does, home: str) -> None:
    ann, crew = f"ann {home}", f"crew {home}"
    does("users", "create", ann)
    does("users", "ls")
    does("users", "show", ann)
    does("users", "token", ann, "--scope", "write", "--ttl", "5m")
    does("tasks", "ls", "--user", ann)
    does("groups", "create", crew, "--member", f"{ann}=manage,write")
    does("groups", "ls")
    does("groups", "show", crew)
    does("users", "groups", ann)
    does("groups", "describe", crew, "those who build")
    does("groups", "rename", crew, f"new {crew}")
    does("groups", "grant", f"new {crew}", "--user", ann, "--folder-access", "manage")
    does("folders", "grant", home, "write", "--group", f"new {crew}")
    does("folders", "grant", home, "read", "--user", ann)
    does("folders", "access", home)
    does("folders", "revoke", home, "--user", ann)
    group_id = does("groups", "show", f"new {crew}", "--json").json["group_id"]
    does("groups", "revoke", group_id, "--user", ann)
    does("groups", "rm", group_id, "--yes")
    does("users", "rename", ann, f"anne {home}")
    does("users", "rm", f"anne {home}", "--yes")
