"""The same training on this machine and on a Dask cluster of two workers."""

from __future__ import annotations

import numpy as np
import xgboost as xgb
from distributed import Client, LocalCluster

from models_ml.engagement import columns, learning, priors
from models_ml.engagement.features import FEATURES, features
from models_ml.engagement.population import population
from models_ml.registry import predict


def test_two_workers_of_a_cluster_learn_what_one_machine_learns() -> None:
    posts = columns.checked(population(1500, 31), later=True)
    scale = priors.learn(posts)
    rows = features(posts, scale)
    alone = learning.learn(posts, scale, 1, rounds=10)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2
        together = learning.learn(posts, scale, 1, client, rounds=10)
    one, both = (predict(booster, rows, FEATURES) for booster in (alone, together))
    assert together.num_boosted_rounds() == 10
    assert np.corrcoef(one, both)[0, 1] > 0.95
    assert np.abs(one - both).max() < 0.1


def test_training_again_gives_the_same_trees() -> None:
    posts = columns.checked(population(800, 32), later=True)
    scale = priors.learn(posts)
    first, again = (learning.learn(posts, scale, 3, rounds=10) for _ in range(2))
    assert isinstance(first, xgb.Booster)
    assert first.save_raw("json") == again.save_raw("json")
    assert learning.learn(posts, scale, 4, rounds=10).save_raw("json") != first.save_raw("json")
