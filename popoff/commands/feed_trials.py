"""Experiments with the feed, and how good its rankers are, as tables of a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from popoff.commands.base import platform, say
from popoff.feed import experiments, rankers
from popoff.feed.models import Experiment
from popoff.feed.trials import MEASURES, Arm, Estimate, Results
from popoff.kernel import clock
from popoff.kernel.clock import rfc3339
from popoff.web.transaction import transaction

if TYPE_CHECKING:
    from models_ml.ranking.contest import Contest


@click.group()
def experiment() -> None:
    """Two rankers on trial, each with people of its own."""


@experiment.command()
@click.argument("name")
@click.option("--challenger", required=True, help="The version of the ranker that is on trial.")
@click.option(
    "--share", required=True, type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Of all people."
)
def start(name: str, challenger: str, share: float) -> None:
    """Show a share of all people what the challenger puts first."""
    with platform(), transaction():
        experiments.start(name, challenger, share, by=None)
    say(f"{name} is running: {share:.0%} of all people get {challenger}")


@experiment.command()
@click.argument("name")
def stop(name: str) -> None:
    """Give everybody the ranker in use again."""
    with platform(), transaction():
        experiments.stop(name, by=None)
    say(f"{name} is stopped; everybody gets the ranker in use")


@experiment.command("results")
@click.argument("name", required=False)
def show(name: str | None) -> None:
    """What the experiment NAME says, or the one that was started last."""
    with platform(), transaction():
        every = experiments.every()
        if name is None and not every:
            raise click.ClickException("There was no experiment yet.")
        chosen = every[0] if name is None else experiments.by_name(name)
        lines = results_table(chosen, experiments.results(chosen))
    for line in lines:
        say(line)


@click.command("rankers")
def list_rankers() -> None:
    """The versions of the ranker that there are."""
    with platform(), transaction():
        current, previous, versions = rankers.in_use(), rankers.previous(), rankers.versions()
    if not current:
        say("None is in use: the feed goes by its rules.")
    for version in versions:
        what = {current: "  in use", previous: "  before it"}.get(version, "")
        say(f"{version}{what}")


@click.command()
def evaluate() -> None:
    """Compare the ranker in use with the one before, the plain rule, and what is popular, on the last day."""
    from popoff.feed import evaluation  # with the models, which take a second

    with platform():
        try:
            found, names = evaluation.evaluate(clock.now(), transaction)
        except evaluation.TooLittle as reason:
            raise click.ClickException(f"There is too little to go by. {reason}") from None
    for line in contest_table(found, names):
        say(line)


def contest_table(found: Contest, names: Mapping[str, str]) -> Sequence[str]:
    """What each order did on the last day, as lines of text."""
    explored = f"{len(found.explored)} places that explored"
    lines = [
        f"{len(found.people)} choices of the last day, {explored}; means with 95 % intervals over people",
        f"{'':<44}{'NDCG@10':<26}{'HR@10':<26}{'worth of a place (IPS)':<30}self-normalised",
    ]
    for name, what in names.items():
        worth = found.off_policy(name)
        told = [sure(worth.plain), sure(worth.normalised)] if worth.is_telling else ["too few places", ""]
        figures = f"{sure(found.ndcg(name)):<26}{sure(found.hits(name)):<26}{told[0]:<30}{told[1]}"
        lines.append(f"{f'{name} ({what})':<44}{figures}".rstrip())
    return lines


def results_table(experiment: Experiment, found: Results) -> Sequence[str]:
    """The results as lines of text."""
    until = f"to {rfc3339(experiment.ended_at)}" if experiment.ended_at else "and still running"
    lines = [
        f"{experiment.name}: {experiment.challenger} for {experiment.share:.0%} of all people, "
        f"from {rfc3339(experiment.started_at)} {until}",
        f"{'':<24}{'current':<32}{'challenger':<32}challenger less current",
        f"{'people':<24}{found.current.people:<32}{found.challenger.people}",
    ]
    lines += [_counted(name, found.current, found.challenger) for name in found.current.counts]
    for measure in MEASURES:
        sides = [sure(arm.measures[measure.name]) for arm in (found.current, found.challenger)]
        apart = sure(found.differences[measure.name], sign="+")
        lines.append(f"{measure.name:<24}{sides[0]:<32}{sides[1]:<32}{apart}")
    return [*lines, found.sentence]


def sure(estimate: Estimate, sign: str = "") -> str:
    """A number with its 95 % interval."""
    value, (low, high) = estimate.value, estimate.interval
    if math.isnan(value):
        return "-"
    return f"{value:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]" if not math.isnan(low) else f"{value:{sign}.4f}"


def _counted(name: str, current: Arm, challenger: Arm) -> str:
    return f"{name.replace('_', ' '):<24}{current.counts[name]:<32}{challenger.counts[name]}"
