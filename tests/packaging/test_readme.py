"""The README is true: its commands exist, its code runs, its tables say what the program says."""

import ast
import os
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from backend_coordinator.cli import app
from backend_coordinator.domain.usage import Limits
from backend_coordinator.nodes.gates.catalogue import CHECKS
from backend_coordinator.nodes.gates.registry import ITEMS
from backend_coordinator.nodes.window import WINDOW
from backend_coordinator.settings import ModelSettings, Settings
from tests.packaging.source import README, ROOT, blocks

GUIDE, MODELS = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("guide.md", "models.md"))
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
PYTHON = [pytest.param(block, id=str(i)) for i, block in enumerate(blocks("python", "## From Python")[:2])]


def table(heading: str) -> list[str]:
    """The first cells of the table in a section."""
    return ROW.findall(README.partition(f"## {heading}\n")[2].partition("\n## ")[0])


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, typing.Any]]:
    """Every command of the program with its whole name."""
    for name, command in typing.cast(typing.Any, group).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        if getattr(command, "invoke_without_command", True):
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_the_table_of_commands_names_each_command_once() -> None:
    named = [re.split(r" [A-Z]", row)[0] for row in table("Commands")]
    assert sorted(named) == sorted(COMMANDS)


def test_every_argument_of_the_table_of_commands_is_one_of_the_program() -> None:
    for row in table("Commands"):
        command, *arguments = re.split(r" (?=[A-Z])", row)
        assert len(arguments) <= len([p for p in COMMANDS[command].params if p.param_type_name == "argument"])


def test_every_option_the_documents_write_exists() -> None:
    ours = {option for command in COMMANDS.values() for p in command.params for option in p.opts} | {"--help"}
    others = {"--stat", "--extra", "--allow-blocking"}
    servers = {"--enable-auto-tool-choice", "--tool-call-parser", "--served-model-name", "--api-key"}
    servers |= {"--jinja", "--config"}
    assert set(OPTION.findall(README + GUIDE + MODELS)) - ours - others - servers == set()


def test_every_command_answers_as_json() -> None:
    assert [name for name, c in COMMANDS.items() if "--json" not in {o for p in c.params for o in p.opts}] == []


def test_the_table_of_settings_names_each_setting_once() -> None:
    assert sorted(table("Configuration")) == sorted(Settings.model_fields)


def test_the_defaults_in_the_table_of_settings_are_the_program_s() -> None:
    cells = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", README.partition("## Configuration")[2], re.MULTILINE))
    defaults = Settings()
    for name in ("slots", "sandbox", "packet_tokens"):
        assert cells[name] == str(getattr(defaults, name))
    assert cells["model"] == f"{defaults.model.seconds:g} s, {defaults.model.attempts} attempts"
    assert cells["required"] == ", ".join(defaults.required)
    assert cells["approval"] == f"preset {defaults.approval.preset}, tools {defaults.approval.tools}"
    assert cells["budget"] == ", ".join(str(n) for n in defaults.budget.by_level.values())
    limits = defaults.limits.task
    expected = f"{limits.model_calls} model calls, {limits.tool_calls} tool calls, {limits.seconds:g} s"
    assert cells["limits"] == expected


def test_the_page_on_models_names_each_setting_of_a_model_with_its_default() -> None:
    section = MODELS.partition("## Settings")[2].partition("\n## ")[0]
    cells = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", section, re.MULTILINE))
    terms = ModelSettings()
    assert sorted(cells) == sorted(ModelSettings.model_fields)
    assert cells.pop("window") == f"the model's, else {WINDOW}"
    for name, cell in cells.items():
        value = getattr(terms, name)
        assert cell == ("none" if value in (None, {}) else str(value).lower().removesuffix(".0"))


def test_the_page_on_models_names_each_limit() -> None:
    section = MODELS.partition("## Limits and prices")[2]
    assert [name for name in Limits.model_fields if f"`{name}`" not in section] == []


def test_both_tables_of_providers_agree() -> None:
    commands, addresses = (re.compile(r"`((?:vllm|OLLAMA|llama-server|litellm)[^`]*)`"), re.compile(r"http://[^`]+"))
    short, full = README.partition("## Models")[2], MODELS.partition("## Providers")[2].partition("\n- ")[0]
    short = short.partition("\n## ")[0]
    assert set(commands.findall(short)) == set(commands.findall(full))
    assert set(addresses.findall(short)) == set(addresses.findall(full))


def test_the_number_of_items_tools_decide_is_the_catalogue_s() -> None:
    decided = {check.item for check in CHECKS if not check.supports}
    assert f"Tools decide {len(decided)} of the {len(ITEMS)} items" in README


def test_the_first_result_is_seen_by_line_thirty() -> None:
    lines = README.splitlines()
    assert len(lines) <= 220
    assert any(line.startswith("accepted, ") for line in lines[:30])


def test_both_set_up_lines_are_single_lines_that_need_python_and_pip_alone() -> None:
    for marker in ("<!-- main job -->", "<!-- tests -->"):
        (line,) = blocks("sh", marker)[0].splitlines()
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install -q -e ")


def test_every_link_to_a_file_leads_somewhere() -> None:
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.slow
@pytest.mark.parametrize("block", PYTHON)
def test_the_python_code_runs_as_it_stands(block: str, tmp_path: Path) -> None:
    ended = run_script(block, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^(True|accepted, .*)", ended.stdout.splitlines()[-1]), ended.stdout


def run_script(source: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Runs a script in a folder of its own, without a key."""
    (folder / "script.py").write_text(source)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}
    command = [sys.executable, "script.py"]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("text", [README, GUIDE, MODELS], ids=["README", "guide", "models"])
def test_the_documents_python_code_compiles(text: str) -> None:
    for block in blocks("python", text=text):
        compile(block, "document", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
