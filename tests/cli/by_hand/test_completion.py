"""The shells complete commands and options, asked as they ask."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ASK = "_3DVERSE_WATCHER_COMPLETE"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With a command ``3dverse-watcher`` on the path."""
    program = tmp_path / "bin" / "3dverse-watcher"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m watcher "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb"}


def says(environment: dict[str, str], *command: str, **more: str) -> str:
    done = subprocess.run(command, env={**environment, **more}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout


def completes(environment: dict[str, str], line: str, word: int) -> list[str]:
    out = says(environment, "3dverse-watcher", COMP_WORDS=line, COMP_CWORD=str(word), **{ASK: "bash_complete"})
    return [item.partition(",")[2] for item in out.splitlines() if item]


def test_the_program_completes_commands_and_options(environment):
    assert completes(environment, "3dverse-watcher fol", 1) == ["folders"]
    assert {"ls", "tree", "create", "rm", "grant"} <= set(completes(environment, "3dverse-watcher folders ", 2))
    assert completes(environment, "3dverse-watcher assets scene aa", 3) == ["aabb"]
    assert "--recursive" in completes(environment, "3dverse-watcher folders rm --re", 3)
    assert completes(environment, "3dverse-watcher folders grant x m", 4) == ["manage"]
    assert {"--config", "--version"} <= set(completes(environment, "3dverse-watcher --", 1))


def test_bash_completes(environment):
    script = """
        eval "$(3dverse-watcher completion bash)"
        COMP_WORDS=(3dverse-watcher folders g) COMP_CWORD=2
        $(complete -p 3dverse-watcher | sed 's/.*-F \\([^ ]*\\).*/\\1/') 3dverse-watcher
        echo "${COMPREPLY[@]}"
    """
    assert says(environment, "bash", "--norc", "-c", script).split() == ["grant"]


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes(environment):
    script = """
        3dverse-watcher completion fish | source
        complete -C "3dverse-watcher folders g"
    """
    assert says(environment, "fish", "--no-config", "-c", script).split()[0] == "grant"


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_knows_the_function_for_the_command(environment):
    script = """
        autoload -U compinit; compinit -u
        eval "$(3dverse-watcher completion zsh)"
        print ${_comps[3dverse-watcher]}; functions $_comps[3dverse-watcher] | head -1
    """
    name, _, head = says(environment, "zsh", "-f", "-c", script).partition("\n")
    assert name.startswith("_")
    assert head.startswith(f"{name} ()")
