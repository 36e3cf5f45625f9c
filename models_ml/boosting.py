"""One way to train trees: on this machine, or with the same parameters on a Dask cluster when there is too much for it.

with Client(address) as client:
    booster = fit(rows, parameters, rounds, client)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import xgboost as xgb
    from distributed import Client

FIXED = {"tree_method": "hist", "nthread": 1, "verbosity": 0}
"""One thread: sums are then added in one order, and training again gives the same trees."""


@dataclass(frozen=True)
class Rows:
    """What trees are trained on, n rows: features (n, f) by name, labels, weights and, or not, margins to begin at."""

    features: npt.NDArray[np.float32]
    names: Sequence[str]
    labels: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    margins: npt.NDArray[np.float64] | None = None


def fit(
    rows: Rows, parameters: Mapping[str, Any], rounds: int, client: Client | None = None, progress: int = 0
) -> xgb.Booster:
    """Boost for `rounds`; with a client of a Dask cluster its workers share the rows and build the trees together.

    `progress`: print the loss of the training rows every so many rounds (0: never). The cluster's trees differ from
    this machine's by the rounding of merged histograms, and by nothing else.
    """
    settings = {**FIXED, **parameters}
    if client is not None:
        return _fit_on_cluster(rows, settings, rounds, client, progress)
    import xgboost as xgb  # here, because it takes a second, and who only scores imports this module as well

    matrix = xgb.DMatrix(
        rows.features, rows.labels, weight=rows.weights, base_margin=rows.margins, feature_names=list(rows.names)
    )
    return xgb.train(settings, matrix, rounds, evals=[(matrix, "training")], verbose_eval=progress or False)


def _fit_on_cluster(rows: Rows, settings: Mapping[str, Any], rounds: int, client: Client, progress: int) -> xgb.Booster:
    from dask import array
    from xgboost import dask as cluster

    parts = -(-len(rows.labels) // max(1, len(client.scheduler_info(n_workers=-1)["workers"])))

    def spread(values: npt.NDArray[Any]) -> Any:
        return array.from_array(values, chunks=(parts, *values.shape[1:]))

    matrix = cluster.DaskDMatrix(
        client,
        spread(rows.features),
        spread(rows.labels),
        weight=spread(rows.weights),
        base_margin=None if rows.margins is None else spread(rows.margins),
        feature_names=list(rows.names),
    )
    done = cluster.train(
        client, dict(settings), matrix, rounds, evals=[(matrix, "training")], verbose_eval=progress or False
    )
    booster: xgb.Booster = done["booster"]
    return booster


def monotone(constraints: Iterable[int]) -> str:
    """Constraints in the order of the features, as XGBoost reads them."""
    return "(" + ",".join(str(constraint) for constraint in constraints) + ")"
