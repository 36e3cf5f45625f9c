"""The `popoff` command inside a test, over the services of the test."""

from __future__ import annotations

from click.testing import CliRunner, Result

from popoff.cli import main


def popoff(*arguments: str | int, fails: bool = False, typed: str | None = None) -> Result:
    """Run a command that ends well, or with `fails` one that ends with a sentence and exit code 1."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == (1 if fails else 0), result.output
    if fails:
        assert result.stderr.startswith("Error: "), result.output
        assert result.stderr.count("\n") == 1
    return result
