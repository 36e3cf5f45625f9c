"""What import contracts cannot see. Each failure says what to do instead."""

from __future__ import annotations

import ast
import re

import pytest

import config
from tests.architecture.source import ROOT, modules

COMMITTERS = {"popoff/web/transaction.py", "workers/base.py"}
ENQUEUERS = {"popoff/adapters/jobs.py"}
CLOCKS = {"popoff/kernel/clock.py"}
STANDALONE = ("popoff/embedded/", "popoff/supervisor.py")
"""Starting servers needs neither our clock nor our settings."""

ENVIRONMENT_READERS = {
    "popoff/web/metrics.py": "prometheus_client takes its folder from the environment",
    "popoff/runner.py": "hands its own environment on to a child",
    "popoff/supervisor.py": "hands its own environment on to its children",
    "workers/sandbox.py": "passes the mark by which a run's processes are found",
}
FILE_LINES, FUNCTION_LINES = 500, 60


def offenders(names: str, allowed: set[str], *folders: str) -> list[str]:
    pattern = re.compile(names)
    return [
        f"{module.path}:{line} {name}"
        for module in modules(*folders)
        if module.path not in allowed
        for line, name in module.calls()
        if pattern.search(name)
    ]


def test_only_the_edge_commits() -> None:
    found = offenders(r"\.commit$", COMMITTERS, "popoff", "workers")
    assert not found, f"services flush; let the edge commit: {found}"


def test_only_the_outbox_enqueues() -> None:
    found = offenders(r"\.enqueue(_call|_at|_in|_many)?$|^enqueue", ENQUEUERS, "popoff", "workers")
    assert not found, f"stage a named job with adapters.jobs.stage: {found}"


def test_only_one_clock_is_read() -> None:
    found = offenders(r"(datetime|date)\.(now|utcnow|today)$|^time\.time(_ns)?$", CLOCKS, "popoff", "workers")
    found = [hit for hit in found if not hit.startswith(STANDALONE)]
    assert not found, f"use popoff.kernel.clock: {found}"


def test_models_are_not_queried_by_themselves() -> None:
    found = [
        f"{module.path}:{line} {name}"
        for module in modules("popoff", "workers")
        for line, name in module.names()
        if re.search(r"(^|\.)[A-Z]\w*\.query$|db\.session\.query$", name)
    ]
    assert not found, f"write sa.select(...): {found}"


def test_only_config_reads_the_environment() -> None:
    found = {
        module.path
        for module in modules("popoff", "workers", "wsgi.py")
        for _, name in module.names()
        if name in ("os.environ", "os.getenv")
    }
    assert found <= set(ENVIRONMENT_READERS), f"add a setting to config.py: {found - set(ENVIRONMENT_READERS)}"


def test_config_stands_alone() -> None:
    (module,) = modules("config.py")
    imported = {
        name.split(".")[0]
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert not imported & {"popoff", "workers", "flask", "sqlalchemy"}


def test_files_and_functions_stay_small() -> None:
    long_files = [
        f"{module.path} has {count} lines"
        for module in modules("popoff", "workers", "config.py", "wsgi.py", "benchmarks", "tests")
        if (count := module.text.count("\n")) > FILE_LINES
    ]
    long_functions = [
        f"{module.path}:{node.lineno} {node.name} has {length} lines"
        for module in modules("popoff", "workers", "config.py")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef)
        if (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert not long_files + long_functions, "split by what they are about"


def test_errors_are_not_swallowed() -> None:
    found = [
        f"{module.path}:{node.lineno}"
        for module in modules("popoff", "workers")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
    ]
    assert not found, f"name the error you expect, or log what came: {found}"


def test_the_example_environment_lists_every_setting_with_its_default() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    listed = dict(line.lstrip("#").strip().split("=", 1) for line in lines if re.match(r"#?\s?[A-Z0-9_]+=", line))
    expected = {field.metadata["env"]: str(field.default) for field in config.Settings.__dataclass_fields__.values()}
    assert listed == expected


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md"])
def test_documents_name_files_that_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    named = set(re.findall(r"\]\((?!https?:|#)([^)#]+)", text)) | {
        path for path in re.findall(r"`([\w./-]+/[\w./-]*)`", text) if path.split("/")[0] in TOP_LEVEL
    }
    folder = (ROOT / document).parent
    missing = {path for path in named if not ((folder / path).exists() or (ROOT / path).exists())}
    assert not missing


TOP_LEVEL = {"popoff", "workers", "migrations", "tests", "docs", "benchmarks", "tools"}


def test_documents_name_commands_that_exist() -> None:
    from popoff.cli import main

    text = (ROOT / "README.md").read_text() + (ROOT / "docs/architecture.md").read_text()
    missing = []
    for words in re.findall(r"`popoff ([a-z]+(?: [a-z]+)?)", text):
        first, *rest = words.split()
        command = main.commands.get(first)
        if command is None or (rest and hasattr(command, "commands") and rest[0] not in command.commands):
            missing.append(words)
    assert not missing
