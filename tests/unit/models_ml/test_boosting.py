"""The same training on this machine and on a Dask cluster of two workers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing import forkserver

import dask
import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from distributed import Client, LocalCluster

from models_ml.engagement import columns, learning, priors
from models_ml.engagement.features import FEATURES, features
from models_ml.engagement.population import population
from models_ml.engagement.priors import Scale
from models_ml.registry import predict

ROUNDS = 5


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A cluster of two processes. They are forked from one that has the libraries already: each would take seconds."""
    method = "forkserver"
    multiprocessing.get_context(method).set_forkserver_preload(["distributed", "dask.array", "xgboost.dask"])
    forkserver.ensure_running()
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": method}),
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def posts() -> pd.DataFrame:
    return columns.checked(population(1500, 31), later=True)


@pytest.fixture(scope="module")
def scale(posts: pd.DataFrame) -> Scale:
    return priors.learn(posts)


def test_two_workers_of_a_cluster_learn_what_one_machine_learns(
    posts: pd.DataFrame, scale: Scale, client: Client
) -> None:
    assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2
    alone, together = (learning.learn(posts, scale, 1, at, rounds=ROUNDS) for at in (None, client))
    one, both = (predict(booster, features(posts, scale), FEATURES) for booster in (alone, together))
    assert together.num_boosted_rounds() == ROUNDS
    assert np.corrcoef(one, both)[0, 1] > 0.95
    assert np.abs(one - both).max() < 0.1


def test_training_again_gives_the_same_trees(posts: pd.DataFrame, scale: Scale) -> None:
    first, again = (learning.learn(posts, scale, 3, rounds=ROUNDS) for _ in range(2))
    assert isinstance(first, xgb.Booster)
    assert first.save_raw("json") == again.save_raw("json")
    assert learning.learn(posts, scale, 4, rounds=ROUNDS).save_raw("json") != first.save_raw("json")
