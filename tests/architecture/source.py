"""The project's source as the architecture tests read it."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    path: str
    text: str
    tree: ast.Module

    def calls(self) -> Iterator[tuple[int, str]]:
        """(line, dotted name) of every call, as far as the name is written out: `db.session.commit`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node.lineno, _dotted(node.func)

    def names(self) -> Iterator[tuple[int, str]]:
        """(line, dotted name) of every attribute that is read."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute):
                yield node.lineno, _dotted(node)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


@functools.cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every Python file under these folders (or these files)."""
    found = []
    for folder in folders:
        base = ROOT / folder
        for path in sorted(base.rglob("*.py")) if base.is_dir() else [base]:
            text = path.read_text()
            found.append(Module(str(path.relative_to(ROOT)), text, ast.parse(text)))
    return tuple(found)
