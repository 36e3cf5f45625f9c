"""Training gives the same model for the same seed, and truth is what was done."""

from __future__ import annotations

import numpy as np

from models_ml.quality import causes, degrade, material, train


def rows(count: int = 60) -> list[train.Row]:
    rng = np.random.default_rng(4)
    strengths = np.where(rng.random(count) < 0.3, 0, rng.random(count))
    return [train.Row("x", {"freeze": float(s)}, {"frozen_share": float(s * 0.8), "noise": 1.0}) for s in strengths]


def test_the_same_seed_gives_the_same_booster_and_looks_only_at_its_own_measurements() -> None:
    freeze = next(cause for cause in causes.LEARNT if cause.name == "freeze")
    one, again = (train.fit(freeze, rows(), 7) for _ in range(2))
    assert one.save_raw("json") == again.save_raw("json")
    assert set(one.get_score()) == {"frozen_share"}


def test_every_fault_is_made_in_training_at_strengths_from_weak_to_strong() -> None:
    plan = train.film_faults(material.TRAIN[0], 7)
    assert plan == train.film_faults(material.TRAIN[0], 7)
    assert plan != train.film_faults(material.TRAIN[0], 8)
    for kind in degrade.PICTURE:
        alone = [faults[kind] for faults in plan if set(faults) == {kind}]
        assert min(alone) < 0.35
        assert max(alone) > 0.65
    still = material.Source("still", "lavfi", "smptebars", moves=False)
    assert not any("freeze" in faults for faults in train.film_faults(still, 7))


def test_material_that_is_held_out_is_not_trained_on() -> None:
    assert not {source.name for source in material.TRAIN} & {source.name for source in material.HELD_OUT}
    for name, start in material.REAL_HELD_OUT:
        trained = [begin for file, begin in material.REAL_TRAIN if file == name]
        assert all(abs(begin - start) > material.SECONDS for begin in trained)
