"""The map of posts: clusters, places, and colours that can be told apart from the page."""

from __future__ import annotations

import re
from importlib import resources

import numpy as np
import pytest

from popoff.feed import atlas

DIMENSION = 64


def groups(*sizes: int, spread: float = 0.05, seed: int = 1) -> np.ndarray:
    """Unit vectors in groups around directions at right angles to one another."""
    dice = np.random.default_rng(seed)
    rows = [np.eye(DIMENSION)[i] + spread * dice.normal(size=(size, DIMENSION)) for i, size in enumerate(sizes)]
    points = np.concatenate(rows)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def draw(points: np.ndarray, categories: list[str] | None = None, seed: int = 1) -> atlas.Atlas:
    return atlas.draw(points.astype(np.float32), categories or ["Music"] * len(points), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_groups_that_are_far_apart_become_clusters_the_largest_first(seed: int) -> None:
    clusters, centroids = atlas.k_means(groups(20, 40, 30), 3, np.random.default_rng(seed))
    assert clusters.tolist() == [2] * 20 + [0] * 40 + [1] * 30
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1.0)


@pytest.mark.parametrize("sizes", [(1,), (2,), (1, 1), (40,), (30, 20, 10), (9,) * 9, (400, 3, 3, 2)])
def test_islands_do_not_overlap_and_hold_their_posts(sizes: tuple[int, ...]) -> None:
    drawn = draw(groups(*sizes))
    distances = np.linalg.norm(drawn.centres[:, None] - drawn.centres[None], axis=2)
    needed = drawn.radii[:, None] + drawn.radii[None]
    assert (distances + 1e-9 >= needed)[~np.eye(len(distances), dtype=bool)].all()
    away = np.linalg.norm(drawn.places - drawn.centres[drawn.clusters], axis=1)
    assert (away <= drawn.radii[drawn.clusters]).all()
    assert drawn.places.min() >= 0
    assert drawn.places.max() <= 1


def test_posts_that_say_the_same_do_not_lie_on_one_another() -> None:
    drawn = draw(np.repeat(groups(1), 30, axis=0))
    distances = np.linalg.norm(drawn.places[:, None] - drawn.places[None], axis=2) + np.eye(30)
    assert distances.min() > 0.01
    assert len(drawn.names) == 1


def test_the_area_of_an_island_goes_by_its_posts() -> None:
    drawn = draw(groups(90, 10, spread=0.01), seed=3)
    sizes = np.bincount(drawn.clusters)
    np.testing.assert_allclose(drawn.radii**2 / sizes, (drawn.radii[0] ** 2) / sizes[0])


def test_the_same_chance_draws_the_same_map() -> None:
    points = groups(30, 20, 10)
    np.testing.assert_array_equal(draw(points).places, draw(points).places)


@pytest.mark.parametrize(
    ("categories", "name"),
    [
        (["Music (songs)"] * 9 + ["Food"], "Music"),
        (["Music (songs)"] * 6 + ["Food"] * 4, "Music, Food"),
        (["Music", "Food", "Sports", "Pets", "Art"], "Music"),
    ],
)
def test_a_cluster_is_named_after_what_most_of_it_is(categories: list[str], name: str) -> None:
    drawn = draw(np.repeat(groups(1), len(categories), axis=0), categories)
    assert drawn.names == [name]


def test_other_vectors_belong_to_the_nearest_cluster() -> None:
    _, centroids = atlas.k_means(groups(30, 40, 20), 3, np.random.default_rng(2))
    assert atlas.nearest(groups(1, 1, 1, seed=9).astype(np.float32), centroids).tolist() == [1, 0, 2]


def test_nothing_is_nearest_to_nothing() -> None:
    assert atlas.nearest(np.zeros((0, DIMENSION), dtype=np.float32), groups(2)).shape == (0,)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_colours_stand_out_from_the_page(mode: int) -> None:
    page = resources.files("popoff").joinpath("templates/feed_map.html").read_text()
    palette = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", page, re.DOTALL)[mode]))
    islands = [palette[f"i{number}"] for number in range(1, atlas.MAX_CLUSTERS + 1)]
    assert len(set(islands)) == atlas.MAX_CLUSTERS
    assert min(contrast(colour, palette["paper"]) for colour in islands) >= 3
    assert min(contrast(palette[text], palette["paper"]) for text in ("ink", "quiet")) >= 4.5
