"""Training gives the same model for the same seed, and truth is what was done."""

from __future__ import annotations

import numpy as np
import pytest

from models_ml import registry
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


def test_pairs_are_copies_of_one_film_with_no_other_fault_the_worse_one_first() -> None:
    plan = [("a", {}), ("a", {"blur": 0.2}), ("a", {"blur": 0.9}), ("a", {"blur": 0.9, "noise": 0.5}), ("b", {})]
    worse, better = train.pairs("blur", [train.Row(source, faults, {}) for source, faults in plan])
    assert sorted(zip(worse.tolist(), better.tolist(), strict=True)) == [(1, 0), (2, 0), (2, 1)]
    assert train.pairs("noise", [train.Row("b", {}, {})])[0].shape == (0,)


def test_pairs_teach_what_differs_only_within_a_film(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each film has a level of its own that hides the strength from whoever looks at one copy at a time."""
    rng = np.random.default_rng(3)
    made = [
        train.Row(f"film {film}", {"blur": strength}, {"blur_effect": level + 0.02 * strength})
        for film, level in enumerate(rng.uniform(0.2, 0.8, 30))
        for strength in (0.1, 0.5, 0.9)
    ]
    blur = next(cause for cause in causes.LEARNT if cause.name == "blur")

    def in_order() -> float:
        found = registry.predict(train.fit(blur, made, 7), train.matrix(made), causes.FEATURES).reshape(-1, 3)
        return float((np.diff(found, axis=1) > 0).mean())

    with_pairs = in_order()
    monkeypatch.setattr(train, "PAIRS", 0.0)
    assert with_pairs > in_order() + 0.1
