"""`/feed/experiments`: two rankers on trial, for admins to read. They are started and stopped by `popoff feed`."""

from __future__ import annotations

import math
from typing import Any, Literal

from flask import Response
from flask_restx import Namespace, Resource
from pydantic import BaseModel, Field

from popoff.accounts.rules import Permission
from popoff.blueprints.api.docs import gives, refuses
from popoff.feed import experiments, trials
from popoff.feed.trials import MEASURES, Arm, Results
from popoff.kernel.clock import rfc3339
from popoff.web.access import needs
from popoff.web.responses import json_response

api = Namespace("experiments", path="/feed/experiments", description="Rankers on trial.")


class Experiment(BaseModel):
    name: str
    challenger: str = Field(description="The version on trial.")
    share: float = Field(description="Of all people, 0 to 1, who get it.")
    started_at: str
    ended_at: str | None = Field(None, description="Null while it runs.")


class Experiments(BaseModel):
    experiments: list[Experiment] = Field(description="The latest first.")


class Estimate(BaseModel):
    value: float | None = Field(None, description="Null where there is nothing to tell it by.")
    low: float | None = Field(None, description="Where its 95 % interval over people begins.")
    high: float | None = Field(None, description="Where it ends.")


class Measured(BaseModel):
    name: str
    meaning: str
    current: Estimate
    challenger: Estimate
    difference: Estimate = Field(description="Challenger less current.")


class Side(BaseModel):
    people: int
    sessions: int
    served: int = Field(description="Impressions.")
    by_challenger: int = Field(description="Those of them that the challenger put in order.")
    seen: int = Field(description="Those that were seen, each post once a person.")


class ExperimentResults(Experiment):
    outcome: Literal["better", "worse", "not_yet_known"]
    sentence: str
    current: Side
    challenger_side: Side
    measures: list[Measured]


@api.route("/")
class ExperimentList(Resource):
    @gives(api, Experiments, "All there ever were.")
    @refuses(api, s403="forbidden")
    @needs(Permission.ADMINISTER)
    def get(self) -> Response:
        """Experiments with the feed (admins only)."""
        return json_response({"experiments": [_experiment(each) for each in experiments.every()]})


@api.route("/<string:name>/")
class ExperimentItem(Resource):
    @gives(api, ExperimentResults, "Up to its end, or up to now.")
    @refuses(api, s403="forbidden", s404="experiment_not_found")
    @needs(Permission.ADMINISTER)
    def get(self, name: str) -> Response:
        """What an experiment says (admins only)."""
        experiment = experiments.by_name(name)
        return json_response({**_experiment(experiment), **_results(experiments.results(experiment))})


def _experiment(experiment: Any) -> dict[str, Any]:
    return {
        "name": experiment.name,
        "challenger": experiment.challenger,
        "share": experiment.share,
        "started_at": rfc3339(experiment.started_at),
        "ended_at": rfc3339(experiment.ended_at) if experiment.ended_at else None,
    }


def _results(found: Results) -> dict[str, Any]:
    return {
        "outcome": found.outcome.value,
        "sentence": found.sentence,
        "current": _side(found.current),
        "challenger_side": _side(found.challenger),
        "measures": [
            {
                "name": measure.name,
                "meaning": measure.meaning,
                "current": _estimate(found.current.measures[measure.name]),
                "challenger": _estimate(found.challenger.measures[measure.name]),
                "difference": _estimate(found.differences[measure.name]),
            }
            for measure in MEASURES
        ],
    }


def _side(arm: Arm) -> dict[str, int]:
    return {"people": arm.people, **arm.counts}


def _estimate(estimate: trials.Estimate) -> dict[str, float | None]:
    numbers = (estimate.value, *estimate.interval)
    return {
        name: None if math.isnan(number) else round(number, 6)
        for name, number in zip(("value", "low", "high"), numbers, strict=True)
    }
