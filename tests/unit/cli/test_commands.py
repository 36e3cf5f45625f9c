"""What holds for every command."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from popoff.cli import main


def commands(group: click.Group, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*names, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)


ALL = dict(commands(main))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_says_what_it_does(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert (ALL[path].help or "").rstrip().endswith(".")


def test_the_fixed_commands_are_there() -> None:
    fixed = {
        "run", "migrate", "demo load", "user create", "user role", "media retry", "media convert", "media relink",
        "feed rebuild", "feed embeddings", "feed map", "case list", "case decide",
    }  # fmt: skip
    assert fixed <= {" ".join(path) for path in ALL}


def test_a_password_is_never_shown_as_it_is_typed() -> None:
    (password,) = [option for option in ALL["user", "create"].params if option.name == "password"]
    assert isinstance(password, click.Option)
    assert password.hide_input
