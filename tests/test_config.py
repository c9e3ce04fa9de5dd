"""The settings: where they come from, and what is said when they are wrong."""

import os
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st

from watcher import logs
from watcher.config import ConfigError, CredentialKind, DropSettings, Settings, document, load_settings
from watcher.config.lines import Location, key_lines
from watcher.model import Drop

EXAMPLE = Path(__file__).parents[1] / "config.example.toml"
CREDENTIALS = ("api_key", "api_key_file", "user_token")

Write = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with nothing configured anywhere."""
    for name in [name for name in os.environ if name.startswith(("WATCHER_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(document, "SYSTEM_FILE", tmp_path / "etc" / "config.toml")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def write(home: Path) -> Write:
    def write_file(text: str, path: Path = home / "config.toml") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def load(config: Path | None = None, /, *drops: str, **environ: str) -> Settings:
    return load_settings(config, drops=drops, environ=environ)


def problems(config: Path | None = None, /, *drops: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(config, *drops, **environ)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return str(caught.value).splitlines()


# Where settings come from ---------------------------------------------------------------------------------------------


def test_without_any_file_everything_has_its_default(home: Path) -> None:
    settings = load()
    assert settings.source is None
    assert settings.api.base_url == "https://api.3dverse.com/app/v1"
    assert (settings.drops, settings.upload.workers, settings.rescan_interval) == ((), 4, 300.0)
    assert settings.origins == {}


def test_the_first_file_found_is_read(home: Path, write: Write, tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg"), "WATCHER_CONFIG": str(tmp_path / "named.toml")}
    order = [
        tmp_path / "option.toml",
        tmp_path / "named.toml",
        home / "config.toml",
        tmp_path / "xdg" / "3dverse-watcher" / "config.toml",
        tmp_path / "etc" / "config.toml",
    ]
    for workers, path in enumerate(order, start=1):
        write(f"[upload]\nworkers = {workers}", path)

    def read(config: Path | None, **environ: str) -> tuple[Path | None, int]:
        settings = load(config, **environ)
        return settings.source, settings.upload.workers

    assert read(order[0], **environ) == (order[0], 1)
    assert read(None, **environ) == (order[1], 2)
    del environ["WATCHER_CONFIG"]
    assert read(None, **environ) == (order[2], 3)
    order[2].unlink()
    assert read(None, **environ) == (order[3], 4)
    order[3].unlink()
    assert read(None, **environ) == (order[4], 5)


def test_without_xdg_the_home_folder_is_looked_in(write: Write, tmp_path: Path) -> None:
    path = write("", tmp_path / "home" / ".config" / "3dverse-watcher" / "config.toml")
    assert load().source == path
    assert load(XDG_CONFIG_HOME="relative/is/invalid").source == path


def test_a_file_that_was_asked_for_has_to_exist(home: Path) -> None:
    (line,) = problems(Path("gone.toml"))
    assert line.startswith(f"option --config: {home}/gone.toml: cannot be read: No such file or directory")
    (line,) = problems(WATCHER_CONFIG="/gone.toml")
    assert line.startswith("environment variable WATCHER_CONFIG: /gone.toml: cannot be read: No such file")


def test_a_file_that_cannot_be_read_is_not_passed_over(home: Path) -> None:
    (home / "config.toml").mkdir()
    assert problems() == [f"{home}/config.toml: cannot be read: Is a directory"]


def test_the_state_directory_follows_systemd_then_xdg_then_home(home: Path, tmp_path: Path) -> None:
    assert load(STATE_DIRECTORY="/var/lib/a:/var/lib/b", XDG_STATE_HOME="/x").state_dir == Path("/var/lib/a")
    assert load(XDG_STATE_HOME="/x").state_dir == Path("/x/3dverse-watcher")
    default = tmp_path / "home/.local/state/3dverse-watcher"
    assert load(XDG_STATE_HOME="relative").state_dir == load().state_dir == default
    assert load(WATCHER_STATE_DIR="~/here", STATE_DIRECTORY="/var/lib/a").state_dir == tmp_path / "home/here"


def test_paths_in_the_file_count_from_its_folder_and_know_the_home_folder(write: Write, tmp_path: Path) -> None:
    (tmp_path / "conf" / "in").mkdir(parents=True)
    (tmp_path / "home" / "drop").mkdir(parents=True)
    path = write(
        'state_dir = "../state"\n[api]\napi_key_file = "key"\n[[drops]]\npath = "in"\n[[drops]]\npath = "~/drop"',
        tmp_path / "conf" / "config.toml",
    )
    settings = load(path)
    assert os.path.realpath(settings.state_dir) == f"{tmp_path}/state"
    assert settings.api.api_key_file == tmp_path / "conf" / "key"
    assert [drop.path for drop in settings.drops] == [f"{tmp_path}/conf/in", f"{tmp_path}/home/drop"]
    assert [drop.folder for drop in settings.drops] == ["in", "drop"]


def test_a_full_file_arrives_in_the_settings(home: Path, write: Write) -> None:
    (home / "in").mkdir()
    write("""
        rescan_interval = 60
        [api]
        base_url = "http://127.0.0.1:4000/app/v1/"
        timeout = 5
        [[drops]]
        path = "in"
        folder = "/Cars/Incoming/"
        recursive = false
        mirror = true
        include = ["*.glb"]
        ignore = ["drafts/", "", "# text"]
        settle_seconds = 0
        on_change = "new"
        [log]
        level = "DEBUG"
        format = "json"
    """)
    settings = load()
    assert settings.rescan_interval == 60.0
    assert (settings.api.base_url, settings.api.timeout) == ("http://127.0.0.1:4000/app/v1", 5.0)
    assert settings.drops == (
        Drop(
            path=f"{home}/in",
            folder="Cars/Incoming",
            recursive=False,
            mirror=True,
            include=("*.glb",),
            ignore=("drafts/", "", "# text"),
            settle_seconds=0.0,
        ),
    )
    assert (settings.log.level, settings.log.format) == (logs.LogLevel.DEBUG, logs.LogFormat.JSON)


def test_the_environment_is_stronger_than_the_file_and_flags_are_stronger_still(write: Write) -> None:
    path = write("[upload]\nworkers = 2\nmax_attempts = 3\n[log]\nlevel = 'error'")
    environ = {
        "WATCHER_UPLOAD__WORKERS": "9",
        "WATCHER_API__EMULATOR": "yes",
        "WATCHER_API__TIMEOUT": "2.5",
        "WATCHER_LOG__LEVEL": "warning",
        "WATCHER_API__FILE_FIELD": "123",
        "WATCHER_TRACK__INTERVAL_MIN": "",
        "WATCHER_CONFIG": "",
        "WATCH": "unrelated",
    }
    settings = load_settings(path, environ=environ, log_level="debug", emulator=None)
    assert (settings.upload.workers, settings.upload.max_attempts) == (9, 3)
    assert (settings.api.emulator, settings.api.timeout, settings.api.file_field) == (True, 2.5, "123")
    assert settings.log.level is logs.LogLevel.DEBUG
    assert settings.origins == {
        "upload.workers": "environment variable WATCHER_UPLOAD__WORKERS",
        "upload.max_attempts": f"{path}:3",
        "api.emulator": "environment variable WATCHER_API__EMULATOR",
        "api.timeout": "environment variable WATCHER_API__TIMEOUT",
        "api.file_field": "environment variable WATCHER_API__FILE_FIELD",
        "log.level": "option --log-level",
    }


# What is said when they are wrong -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("[upload]\n\nworkesr = 4", "3: [upload] workesr", "is not a known key; did you mean [upload] workers?"),
        ("workers = 4", "1: workers", "is not a known key; did you mean [upload] workers?"),
        (
            "[[drops]]\npath = 'in'\nrescan_interval = 4",
            "3: [[drops]] rescan_interval",
            "is not a known key; did you mean rescan_interval at the top of the file?",
        ),
        ("# x\n[uplaod]\nworkers = 4", "2: uplaod", "is not a known key; did you mean [upload]?"),
        ("[[drop]]\npath = 'in'", "1: drop", "is not a known key; did you mean [[drops]]?"),
        (
            "[[drops]]\npath = 'in'\nfoldr = 'x'",
            "3: [[drops]] foldr",
            "is not a known key; did you mean [[drops]] folder?",
        ),
        ("[log]\nqqqqqq = 1", "2: [log] qqqqqq", "is not a known key; known are level, format"),
        ("[upload]\nworkers = '4'", "2: [upload] workers", "must be a whole number"),
        ("[upload]\nworkers = true", "2: [upload] workers", "must be a whole number"),
        ("[upload]\nworkers = 0", "2: [upload] workers", "must be at least 1"),
        ("[upload]\nworkers = 65", "2: [upload] workers", "must be at most 64"),
        ("upload = 3", "1: [upload]", "must be a table"),
        (
            "[upload]\nbackoff_base = 500",
            "1: [upload] backoff_max",
            "must not be less than backoff_base, which is 500",
        ),
        (
            "[track]\ninterval_min = 9\ninterval_max = 3",
            "3: [track] interval_max",
            "must not be less than interval_min, which is 9",
        ),
        ("[api]\nemulator = 1", "2: [api] emulator", "must be true or false"),
        ("[api]\ntimeout = '1'", "2: [api] timeout", "must be a number"),
        ("[api]\ntimeout = nan", "2: [api] timeout", "must be a finite number"),
        ("[api]\ntimeout = inf", "2: [api] timeout", "must be a finite number"),
        ("[api]\nfile_field = ''", "2: [api] file_field", "is empty"),
        ("[api]\nbase_url = 'ftp://x'", "2: [api] base_url", "must be an http:// or https:// address"),
        ("[api]\nbase_url = 'https://me:pw'", "2: [api] base_url", "must be an http:// or https:// address"),
        ("[api]\nbase_url = 'http://['", "2: [api] base_url", "must be an http:// or https:// address"),
        (
            "[api]\nfile_field = 'a\"; x=\"'",
            "2: [api] file_field",
            "holds characters other than letters, digits and . - _ [ ]",
        ),
        ("[api]\nbase_url = 'https://me:pw@x'", "2: [api] base_url", "must not hold a user name or a password"),
        ("[api]\napi_key = 5", "2: [api] api_key", 'must be text in "quotes"'),
        ("[api]\napi_key = ''", "2: [api] api_key", "is empty"),
        ("[api]\napi_key = 'two words'", "2: [api] api_key", "holds blanks or characters that no key has"),
        ("[api]\napi_key_file = ['x']", "2: [api] api_key_file", 'must be a path in "quotes"'),
        (
            "[api]\napi_key = 'k1'\nuser_token = 't1'",
            "3: [api] user_token",
            "cannot be used together with api_key; keep one of them",
        ),
        ("[log]\nlevel = 'loud'", "2: [log] level", "must be one of 'debug', 'info', 'warning' or 'error'"),
        ("state_dir = ''", "1: state_dir", 'must be a path in "quotes"'),
        ("state_dir = 'config.toml'", "1: state_dir", "{home}/config.toml is not a folder"),
        ("[drops]\npath = 'in'", "1: [[drops]]", "is a list of tables: write [[drops]] with two brackets"),
        ("[[drops]]\nfolder = 'x'", "1: [[drops]] path", "is missing"),
        ("[[drops]]\npath = 'gone'", "2: [[drops]] path", "folder {home}/gone does not exist"),
        (
            "[[drops]]\npath = 'config.toml'",
            "2: [[drops]] path",
            "{home}/config.toml is a file; a drop has to be a folder",
        ),
        ("[[drops]]\npath = 'dangling'", "2: [[drops]] path", "{home}/dangling is a symbolic link to nothing"),
        ("[[drops]]\npath = 'in'\nignore = '*.x'", "3: [[drops]] ignore", "must be a list in [brackets]"),
        ("[[drops]]\npath = 'in'\nignore = ['a',\n 3]", "4: [[drops]] ignore", 'must be text in "quotes"'),
        ("[[drops]]\npath = 'in'\nignore = ['a',\n '!']", "4: [[drops]] ignore", "'!' is no valid gitignore pattern"),
        (
            "[[drops]]\npath = 'in'\ninclude = ['[z-a]']",
            "3: [[drops]] include",
            "'[z-a]' is no valid gitignore pattern",
        ),
        (
            "[[drops]]\npath = 'in'\ninclude = ['a[']",
            "3: [[drops]] include",
            "'a[' matches nothing: it is no gitignore pattern",
        ),
        ("[[drops]]\npath = 'in'\nsettle_seconds = -1", "3: [[drops]] settle_seconds", "must be at least 0"),
        ("[[drops]]\npath = 'in'\non_delete = 'x'", "3: [[drops]] on_delete", "must be one of 'keep' or 'delete'"),
        (
            "[[drops]]\npath = 'in'\nfolder = 'a/../b'",
            "3: [[drops]] folder",
            'must be a folder\'s id, or a path such as "Cars/Incoming"',
        ),
    ],
)
def test_an_error_names_the_file_the_line_the_key_and_the_way_out(
    home: Path, write: Write, text: str, where: str, message: str
) -> None:
    (home / "in").mkdir()
    (home / "dangling").symlink_to("nowhere")
    write(text)
    assert problems() == [f"{home}/config.toml:{where}: {message.format(home=home)}"]


def test_all_errors_are_told_at_once(home: Path, write: Write) -> None:
    write("typo = 1\n[upload]\nworkers = 'x'\n[[drops]]\npath = 'gone'\nsettle_seconds = -1")
    told = problems(WATCHER_LOG__LEVEL="loud", WATCHER_API__EMULATOR="perhaps")
    assert [line.split(": ")[0].removeprefix(f"{home}/") for line in sorted(told)] == [
        "config.toml:1",
        "config.toml:3",
        "config.toml:5",
        "config.toml:6",
        "environment variable WATCHER_API__EMULATOR",
        "environment variable WATCHER_LOG__LEVEL",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[upload]\nworkers = = 4\n", ":2: is not valid TOML: Invalid value"),
        (b"[upload]\nworkers = 4\nworkers = 5\n", ":3: is not valid TOML: Cannot overwrite a value"),
        (b"[upload]\n\n[api", ":3: is not valid TOML"),
        (b"# fine\n# caf\xe9\n", ":2: is not UTF-8 text"),
    ],
)
def test_a_file_that_is_not_toml_is_an_error_with_a_line(home: Path, content: bytes, expected: str) -> None:
    (home / "config.toml").write_bytes(content)
    (line,) = problems()
    assert line.startswith(f"{home}/config.toml{expected}")


def test_a_file_from_a_windows_editor_is_read(home: Path) -> None:
    (home / "config.toml").write_bytes(b"\xef\xbb\xbf[upload]\r\nworkers = 3\r\nmax_attempts = 0\r\n")
    assert problems() == [f"{home}/config.toml:3: [upload] max_attempts: must be at least 1"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("WATCHER_UPLOAD__WORKERS", "many", "[upload] workers: must be a whole number"),
        ("WATCHER_UPLOAD__WORKERS", "0", "[upload] workers: must be at least 1"),
        ("WATCHER_API__EMULATOR", "perhaps", "[api] emulator: must be true or false"),
        ("WATCHER_UPLOAD__WORKRES", "1", "sets no known key; did you mean WATCHER_UPLOAD__WORKERS?"),
        ("WATCHER_UPLAOD__WORKERS", "1", "sets no known key; did you mean WATCHER_UPLOAD__WORKERS?"),
        ("WATCHER_API_KEY", "sesame-open", "sets no known key; did you mean WATCHER_API__API_KEY?"),
        ("WATCHER_STATEDIR", "/x", "sets no known key; did you mean WATCHER_STATE_DIR?"),
        ("WATCHER_UPLOAD", "1", "sets no known key; did you mean WATCHER_UPLOAD__"),
        ("WATCHER_DROPS", "/in", "drops have no form as a variable; use [[drops]] tables in a file, or DROP arguments"),
        (
            "WATCHER_DROPS__PATH",
            "/",
            "drops have no form as a variable; use [[drops]] tables in a file, or DROP arguments",
        ),
        ("WATCHER_X__Y__Z", "1", "sets no known key; known are WATCHER_STATE_DIR, WATCHER_RESCAN_INTERVAL"),
    ],
)
def test_an_error_in_the_environment_names_the_variable(home: Path, name: str, text: str, expected: str) -> None:
    (line,) = problems(**{name: text})
    assert line.startswith(f"environment variable {name}: {expected}")


def test_a_flag_that_is_wrong_is_named(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"^option --log-format: \[log\] format: must be one of 'auto', 'console'"):
        load_settings(None, log_format="xml", environ={})


# Drops ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(home: Path) -> Path:
    for name in ("in/sub", "in2", "a=b", "real/deep"):
        (home / name).mkdir(parents=True)
    (home / "link").symlink_to("in/sub")
    (home / "alias").symlink_to("in")
    return home


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("in", "in/sub", "{home}/in/sub lies in the drop {home}/in; drops must not overlap"),
        ("in/sub", "in", "{home}/in holds the drop {home}/in/sub; drops must not overlap"),
        ("in", "link", "{home}/link lies in the drop {home}/in; drops must not overlap"),
        ("alias", "in/sub", "{home}/in/sub lies in the drop {home}/alias; drops must not overlap"),
        ("alias", "in", "{home}/in is the same folder as the drop {home}/alias"),
    ],
)
def test_drops_must_not_overlap(folders: Path, write: Write, first: str, second: str, expected: str) -> None:
    write(f"[[drops]]\npath = '{first}'\n[[drops]]\npath = '{second}'")
    assert problems() == [f"{folders}/config.toml:4: [[drops]] path: {expected.format(home=folders)}"]


def test_a_drop_whose_name_is_no_remote_name_needs_a_remote_folder(home: Path, write: Write) -> None:
    write("[[drops]]\npath = '/'")
    with pytest.raises(ConfigError, match=r":1: \[\[drops\]\]: folder is missing, and the local name cannot serve"):
        load_settings(None, environ={}, folders_must_exist=False)


def test_neighbours_with_a_common_beginning_do_not_overlap(folders: Path, write: Write) -> None:
    write("[[drops]]\npath = 'in'\n[[drops]]\npath = 'in2'")
    assert [drop.folder for drop in load().drops] == ["in", "in2"]


def test_a_drop_is_known_by_its_real_path_but_named_as_it_was_written(folders: Path, write: Write) -> None:
    write("[[drops]]\npath = 'link'")
    assert [(drop.path, drop.folder) for drop in load().drops] == [(f"{folders}/in/sub", "link")]


@pytest.mark.parametrize("state", ["in", "in/state", "alias/not/yet/there"])
def test_the_state_must_not_lie_in_a_drop(folders: Path, write: Write, state: str) -> None:
    write(f"state_dir = '{state}'\n[[drops]]\npath = 'in'")
    assert problems() == [
        f"{folders}/config.toml:1: state_dir: {folders}/{state} lies in the drop {folders}/in; "
        "choose a place outside all drops"
    ]


def test_a_drop_that_is_gone_does_not_matter_to_those_who_only_read_the_ledger(write: Write, home: Path) -> None:
    write("[[drops]]\npath = 'gone'")
    settings = load_settings(None, environ={}, folders_must_exist=False)
    assert [drop.path for drop in settings.drops] == [f"{home}/gone"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_drop_that_this_user_cannot_read_is_an_error(folders: Path, write: Write) -> None:
    write("[[drops]]\npath = 'in'\n[[drops]]\npath = 'real/deep'")
    (folders / "in").chmod(0)
    (folders / "real").chmod(0)
    try:
        assert [line.split("path: ")[1] for line in problems()] == [
            f"folder {folders}/in cannot be read by this user",
            f"folder {folders}/real/deep cannot be reached: Permission denied",
        ]
    finally:
        (folders / "in").chmod(0o700)
        (folders / "real").chmod(0o700)


@pytest.mark.parametrize(
    ("argument", "path", "folder"),
    [
        ("in", "in", "in"),
        ("./in/", "in", "in"),
        ("in=Cars/Incoming", "in", "Cars/Incoming"),
        ("in=Cars/a=b", "in", "Cars/a=b"),
        ("a=b", "a=b", "a=b"),
        ("a=b=Cars", "a=b", "Cars"),
    ],
)
def test_a_drop_argument_is_a_local_folder_and_perhaps_a_remote_one(
    folders: Path, argument: str, path: str, folder: str
) -> None:
    assert load(None, argument).drops == (Drop(path=f"{folders}/{path}", folder=folder),)


def test_drop_arguments_replace_the_configured_drops(folders: Path, write: Write) -> None:
    write("[[drops]]\npath = 'gone'\n[[drops]]\npath = 'in'")
    assert [drop.path for drop in load(None, "in2").drops] == [f"{folders}/in2"]


def test_a_drop_argument_that_is_configured_keeps_its_settings_but_for_the_remote_folder(
    folders: Path, write: Write
) -> None:
    write("[[drops]]\npath = 'in'\nfolder = 'Cars'\nignore = ['*.tmp']")
    assert load(None, "alias").drops == (Drop(path=f"{folders}/in", folder="alias", ignore=("*.tmp",)),)
    assert load(None, "in=Bikes").drops == (Drop(path=f"{folders}/in", folder="Bikes", ignore=("*.tmp",)),)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("gone", "DROP 'gone': [[drops]] path: folder {home}/gone does not exist"),
        ("gone=x=y", "DROP 'gone=x=y': [[drops]] path: folder {home}/gone does not exist"),
        ("in=", "DROP 'in=': [[drops]] folder: must be a folder's id"),
        ("=x", "DROP '=x': [[drops]] path: must be a path"),
        ("", "DROP '': [[drops]] path: must be a path"),
    ],
)
def test_an_error_in_a_drop_argument_names_it(folders: Path, argument: str, expected: str) -> None:
    (line,) = problems(None, argument)
    assert line.startswith(expected.format(home=folders))


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_local_name_that_is_not_utf8_needs_a_remote_name(home: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (home / name).mkdir()
    assert load(None, f"{name}=Cafe").drops == (Drop(path=f"{home}/{name}", folder="Cafe"),)
    (line,) = problems(None, name)
    assert line == (r"DROP 'caf\udce9': [[drops]]: folder is missing, and the local name cannot serve as a remote one")


def test_without_drops_the_ways_out_are_named(home: Path, write: Write) -> None:
    path = write("")
    with pytest.raises(ConfigError, match=r"add a \[\[drops\]\] table to .*config.toml, or name a folder as DROP"):
        load(path).require_drops()


# Credentials ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def keys(home: Path) -> Path:
    (home / "systemd").mkdir()
    for path, text in ((home / "systemd" / "api_key", "from-systemd\n"), (home / "keyfile", " from-file \n")):
        path.write_text(text)
        path.chmod(0o600)
    return home


def found(settings: Settings) -> tuple[CredentialKind, str] | None:
    credential = settings.api.credential()
    return (credential.kind, credential.secret.get_secret_value()) if credential else None


def test_the_credential_is_looked_for_in_order(keys: Path, write: Write) -> None:
    systemd = {"CREDENTIALS_DIRECTORY": str(keys / "systemd")}
    assert found(load(**systemd)) == (CredentialKind.API_KEY, "from-systemd")
    write("[api]\napi_key_file = 'keyfile'")
    assert found(load(**systemd)) == (CredentialKind.API_KEY, "from-file")
    write("[api]\napi_key = 'from-config'")
    assert found(load(**systemd)) == (CredentialKind.API_KEY, "from-config")
    write("[api]\nuser_token = 'a-token'")
    assert found(load(**systemd)) == (CredentialKind.USER_TOKEN, "a-token")


def test_a_credential_in_the_environment_replaces_the_one_in_the_file(keys: Path, write: Write) -> None:
    write("[api]\nuser_token = 'a-token'")
    assert found(load(WATCHER_API__API_KEY="from-env")) == (CredentialKind.API_KEY, "from-env")
    assert found(load(WATCHER_API__API_KEY_FILE="keyfile")) == (CredentialKind.API_KEY, "from-file")
    assert problems(WATCHER_API__API_KEY="from-env", WATCHER_API__USER_TOKEN="t")[0].startswith(
        "environment variable WATCHER_API__USER_TOKEN: [api] user_token: cannot be used together with api_key"
    )


def test_no_credential_is_no_error_until_one_is_needed(keys: Path) -> None:
    settings = load(CREDENTIALS_DIRECTORY=str(keys))  # holds other credentials
    assert settings.api.credential() is None
    with pytest.raises(ConfigError) as caught:
        settings.api.require_credential()
    assert str(caught.value) == (
        "no API key: set WATCHER_API__API_KEY (or [api] api_key_file, or the systemd credential api_key), "
        "or try it without an account: add --emulator"
    )


def test_the_systemd_credential_of_one_run_is_not_seen_by_another(keys: Path) -> None:
    assert found(load(CREDENTIALS_DIRECTORY=str(keys / "systemd"))) is not None
    assert found(load()) is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty; it has to hold the API key and nothing else"),
        (b" \n", "is empty; it has to hold the API key and nothing else"),
        (b"two words", "does not look like an API key; it has to hold the key and nothing else"),
        (b"api_key\nsesame", "does not look like an API key; it has to hold the key and nothing else"),
        (b"\xff\xfe\xff", "does not look like an API key; it has to hold the key and nothing else"),
        (b"x" * 10_000, "does not look like an API key; it has to hold the key and nothing else"),
    ],
)
def test_a_key_file_that_holds_no_key_is_an_error(keys: Path, write: Write, content: bytes, expected: str) -> None:
    (keys / "keyfile").write_bytes(content)
    settings = load(write("[api]\napi_key_file = 'keyfile'"))
    with pytest.raises(ConfigError) as caught:
        settings.api.credential()
    assert str(caught.value) == f"{keys}/keyfile: [api] api_key_file: {expected}"


def test_a_key_file_that_is_not_there_is_an_error(home: Path, write: Write) -> None:
    settings = load(write("[api]\napi_key_file = 'gone'"))
    with pytest.raises(ConfigError, match=r"gone: \[api\] api_key_file: cannot be read: No such file or directory"):
        settings.api.credential()


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_key_file_that_everybody_can_read_is_warned_of(keys: Path, write: Write) -> None:
    settings = load(write("[api]\napi_key_file = 'keyfile'"))
    with structlog.testing.capture_logs() as lines:
        settings.api.credential()
        assert lines == []
        (keys / "keyfile").chmod(0o644)
        settings.api.credential()
    assert [(line["event"], line["help"]) for line in lines] == [
        ("every user can read the API key file", f"chmod 600 {keys}/keyfile")
    ]


def test_a_key_that_would_travel_unencrypted_is_warned_of(home: Path) -> None:
    def warnings(url: str) -> list[str]:
        with structlog.testing.capture_logs() as lines:
            load(WATCHER_API__BASE_URL=url, WATCHER_API__API_KEY="sesame-open").api.credential()
        return [line["event"] for line in lines]

    assert warnings("http://127.0.0.1:80/v1") == warnings("https://example.org/v1") == []
    assert warnings("http://example.org/v1") == ["the API key travels unencrypted"]


def test_secrets_are_shown_nowhere(home: Path, write: Write) -> None:
    for key in ("api_key", "user_token"):
        write(f"[api]\n{key} = 'sesame-open'")
        settings = load()
        shown = [repr(settings), str(settings), repr(settings.api.credential()), settings.model_dump_json()]
        shown += [str(settings.model_dump()), str(settings.masked()), str(settings.origins)]
        assert not [text for text in shown if "sesame" in text]
        assert settings.masked()["api"][key] == "**********"
        assert logs.mask("say sesame-open") == "say **********"


@pytest.mark.parametrize(
    "text", ["[api]\napikey = 'sesame-open'", "[api]\napi_key = ['sesame-open']", "[api]\napi_key = 'sesame open'"]
)
def test_an_error_about_a_secret_does_not_tell_it(write: Write, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(text))
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_masked_settings_are_plain_and_complete(folders: Path) -> None:
    masked = load(None, "in=Cars", STATE_DIRECTORY="/var/lib/w").masked()
    assert masked["state_dir"] == "/var/lib/w"
    assert masked["log"] == {"level": "info", "format": "auto"}
    assert {type(value) for value in masked["drops"][0].values()} == {str, bool, list, float}
    assert set(masked) == set(Settings.model_fields)


# The example ----------------------------------------------------------------------------------------------------------


def defaults() -> dict[str, Any]:
    plain = Settings().masked()
    plain["drops"] = [{name: field.default for name, field in DropSettings.model_fields.items()}]
    return plain


def test_a_drops_table_has_the_keys_and_defaults_of_a_drop() -> None:
    assert list(DropSettings.model_fields) == [field.name for field in fields(Drop)]
    for field in fields(Drop):
        if field.name not in ("path", "folder"):
            assert DropSettings.model_fields[field.name].default == field.default


def test_the_example_shows_every_key_with_its_default() -> None:
    shown = tomllib.loads(re.sub(r"^#(\w+ = )", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE))
    expected = defaults()
    assert set(shown) == set(expected)
    for section, values in expected.items():
        tables = [(shown[section], values)] if isinstance(values, dict) else []
        tables += [(shown["drops"][0], values[0])] if section == "drops" else []
        for table, known in tables:
            assert list(table) == list(known) or set(table) == set(known)
            own = (*CREDENTIALS, "path", "folder")  # these have no default to show
            assert {key: table[key] for key in table if key not in own} == {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in known.items()
                if key not in own
            }
    assert shown["rescan_interval"] == expected["rescan_interval"]


def test_every_key_of_the_example_has_its_reason() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"#?\w+ = ", line):
            before = next(text for text in reversed(lines[:number]) if not re.match(r"#?(\w+) = ", text))
            assert re.match(r"# \S", before), line


def test_the_example_as_it_is_asks_for_its_folder_only() -> None:
    with pytest.raises(ConfigError) as caught:
        load(EXAMPLE, STATE_DIRECTORY="/var/lib/w")
    assert [problem.message for problem in caught.value.problems] == ["folder /srv/incoming does not exist"]


# Lines ----------------------------------------------------------------------------------------------------------------


def locations(value: object, here: Location = ()) -> Iterator[Location]:
    if here:
        yield here
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from locations(inner, (*here, key))


def test_keys_are_found_behind_whatever_toml_allows() -> None:
    text = '''\
# [fake]
a.b = 1 # c = 2
"q k" = """
[fake]
x = 1 \\"""
"""""
's' = \'\'\'
y = 2\'\'\'
date = 1979-05-27 07:32:00
list = [ # [
  "]",

  [1, {x = "}"}],
]
inline = {p = 1, q.r = ["#"]}
[ t . "u" ]
k = 1
[[arr]]
k = 1
[arr.sub]
k = 2
[[arr.inner]]
[[arr]]
[[arr.inner]]
k = 3
'''
    lines = key_lines(text)
    expected: dict[Location, int] = {
        ("a",): 2,
        ("a", "b"): 2,
        ("q k",): 3,
        ("s",): 7,
        ("date",): 9,
        ("list",): 10,
        ("list", 0): 11,
        ("list", 1): 13,
        ("list", 1, 1, "x"): 13,
        ("inline", "q", "r"): 15,
        ("t", "u"): 16,
        ("t", "u", "k"): 17,
        ("arr",): 18,
        ("arr", 0, "k"): 19,
        ("arr", 0, "sub"): 20,
        ("arr", 0, "sub", "k"): 21,
        ("arr", 0, "inner", 0): 22,
        ("arr", 1): 23,
        ("arr", 1, "inner", 0, "k"): 25,
    }
    assert {location: lines.get(location) for location in expected} == expected
    assert set(lines) == set(locations(tomllib.loads(text)))


VALUES = st.sampled_from(
    [
        "1",
        "-1.5e3",
        "true",
        '"#"',
        "'['",
        '"\\""',
        '"""\n[t]\nz = 1\n"""',
        "'''\n'''",
        "[]",
        "{}",
        '[1,"]",2]',
        '{a=1,b="}",c.d=[{}]}',
        "[1979-05-27 07:32:00,3]",
        '[ "]" , # ]\n 2,\n]',
        "[[1], [\n2]]",
        "1979-05-27T07:32:00Z",
        "1979-05-27 07:32:00",
        '""',
        "''",
        '""""""',
        '"a" # = "b',
    ]
)
GAPS = st.sampled_from(["", "\n", "# [c]\n", "\t# k = 1\n\n", "\r\n"])


@given(st.lists(st.tuples(GAPS, st.sampled_from(["", "[t{n}]", "[[arr]]"]), st.lists(st.tuples(GAPS, VALUES)))))
def test_every_key_is_found_on_its_line(blocks: list[tuple[str, str, list[tuple[str, str]]]]) -> None:
    text, elements = "", 0
    table: Location = ()
    expected: dict[Location, int] = {}
    for number, (gap, header, pairs) in enumerate(blocks):
        text += gap
        if header:
            table = ("arr", elements) if header == "[[arr]]" else (f"t{number}",)
            elements += header == "[[arr]]"
            expected[table] = text.count("\n") + 1
            text += header.format(n=number) + "\n"
        for index, (space, value) in enumerate(pairs):
            text += space
            expected[(*table, f"k{number}_{index}")] = text.count("\n") + 1
            text += f"k{number}_{index} = {value}\n"
    text = text.replace("\r\n", "\n")
    lines = key_lines(text)
    assert {location: lines.get(location) for location in expected} == expected
    assert set(lines) == set(locations(tomllib.loads(text)))
