"""What the single modules beside the rooms may import; .importlinter says it for the rooms."""

from __future__ import annotations

import ast
import configparser
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Beside the standard library.
ALLOWED = {
    "contract": {"campaigns", "pydantic"},
    "credentials": {"argon2", "email_validator", "errors"},
    "embedded": {"errors", "google", "temporalio"},
    "errors": set[str](),
    "keys": set[str](),
    "registration": {"errors", "search", "temporalio"},
    "search": {"campaigns", "contract", "temporalio"},
    "settings": {"errors", "pydantic", "pydantic_settings"},
}


def imported(module: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            names.add(node.module)
    return names


@pytest.mark.parametrize("module", ALLOWED)
def test_a_module_imports_what_it_may(module: str) -> None:
    roots = {name.split(".")[0] for name in imported(module)} - sys.stdlib_module_names
    assert roots <= ALLOWED[module]


@pytest.mark.parametrize("module", ["contract", "search"])
def test_what_workflows_import_sees_no_client(module: str) -> None:
    allowed = {"temporalio.common", "temporalio.workflow"}
    assert {name for name in imported(module) if name.startswith("temporalio")} <= allowed


def test_every_room_has_its_rules() -> None:
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter", encoding="utf-8")
    listed = set(rules["importlinter"]["root_packages"].split())
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert rooms <= listed
    assert listed == {section.split(":")[2] for section in rules.sections() if ":" in section}
