"""A map of posts: which belong together, and where to draw them. Pure.

Posts of unit vectors (n, d) fall into clusters (k-means). Each cluster becomes an island: a disc with an area by its
number of posts, near to islands of similar clusters. On its island a post lies along the two directions in which the
cluster spreads most (PCA). Two directions for all posts at once would lay most topics on top of one another, because
topics are nearly orthogonal.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from popoff.feed.categories import short_name

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

MAX_CLUSTERS = 12
TELLING_SHARE = 0.3
"""A cluster is named after every category that has this part of it."""

_ROUNDS = 60
_TRIES = 8
_GAP = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """Cluster of each post (n,), its place (n, 2) in the unit square, and for each cluster (k of them) a unit
    centroid (k, d), the centre (k, 2) and radius (k,) of its island, and a name."""

    clusters: Indices
    places: Floats
    centroids: Floats
    centres: Floats
    radii: Floats
    names: Sequence[str]


def draw(vectors: npt.NDArray[np.float32], categories: Sequence[str], rng: np.random.Generator) -> Atlas:
    """The map of posts with these unit vectors (n, d) and categories; n is at least 1."""
    points = np.asarray(vectors, dtype=np.float64)
    count = min(MAX_CLUSTERS, max(1, round(math.sqrt(len(points) / 2))))
    clusters, centroids = k_means(points, count, rng)
    sizes = np.bincount(clusters, minlength=len(centroids))
    radii = np.sqrt(sizes / sizes.max())
    centres = _islands(centroids, radii)
    places = np.zeros((len(points), 2))
    for number, (centre, radius) in enumerate(zip(centres, radii, strict=True)):
        mine = clusters == number
        places[mine] = centre + radius * _on_disc(points[mine])
    low, high = (centres - radii[:, None]).min(axis=0), (centres + radii[:, None]).max(axis=0)
    scale = float((high - low).max())
    shift = (scale - (high - low)) / 2 - low
    names = [
        _name([categories[i] for i in np.flatnonzero(clusters == number).tolist()]) for number in range(len(centroids))
    ]
    return Atlas(clusters, (places + shift) / scale, centroids, (centres + shift) / scale, radii / scale, names)


def k_means(points: Floats, count: int, rng: np.random.Generator) -> tuple[Indices, Floats]:
    """Cluster of each unit point (n,), and unit centroids (k, d), k <= count; the largest cluster first.

    Begins with points far from one another, the best of a few tries each (k-means++, Arthur and Vassilvitskii 2007).
    """
    centroids = points[[int(rng.integers(len(points)))]]
    while len(centroids) < count:
        away = np.maximum(0.0, 1.0 - (points @ centroids.T).max(axis=1))
        if away.sum() < 1e-9:
            break
        tries = rng.choice(len(points), size=_TRIES, p=away / away.sum())
        left = np.minimum(away[:, None], 1.0 - points @ points[tries].T).sum(axis=0)
        centroids = np.vstack([centroids, points[tries[left.argmin()]]])
    clusters = (points @ centroids.T).argmax(axis=1)
    for _ in range(_ROUNDS):
        found, clusters = np.unique(clusters, return_inverse=True)
        sums = np.stack([points[clusters == number].sum(axis=0) for number in range(len(found))])
        centroids = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        moved = (points @ centroids.T).argmax(axis=1)
        if (moved == clusters).all():
            break
        clusters = moved
    order = np.argsort(-np.bincount(clusters, minlength=len(centroids)), kind="stable")
    return np.argsort(order)[clusters], centroids[order]


def nearest(vectors: npt.NDArray[np.float32], centroids: Floats) -> Indices:
    """The cluster of each vector (n, d)."""
    return np.asarray(vectors, dtype=np.float64).dot(centroids.T).argmax(axis=1).astype(np.int64)


def _islands(centroids: Floats, radii: Floats) -> Floats:
    """Centres (k, 2) of discs that do not overlap, at distances that grow with those of the centroids.

    Stress majorization (de Leeuw 1977), begun with the principal directions.
    """
    apart = np.linalg.norm(centroids[:, None] - centroids[None], axis=2)
    wanted = radii[:, None] + radii[None] + _GAP + apart
    count = len(centroids)
    centres = _principal(centroids) + 1e-3 * np.stack([np.cos(np.arange(count)), np.sin(np.arange(count))], axis=1)
    for _ in range(300):
        distances = np.linalg.norm(centres[:, None] - centres[None], axis=2)
        ratio = np.divide(wanted, distances, out=np.zeros_like(wanted), where=distances > 0)
        np.fill_diagonal(ratio, 0.0)
        centres = (ratio.sum(axis=1, keepdims=True) * centres - ratio @ centres) / count
    return _pushed_apart(centres, radii)


def _pushed_apart(centres: Floats, radii: Floats) -> Floats:
    """Blow the islands away from their middle until no two overlap."""
    centres = centres - centres.mean(axis=0)
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    needed = radii[:, None] + radii[None] + _GAP / 2
    pairs = ~np.eye(len(centres), dtype=bool)
    tightest = (needed[pairs] / np.maximum(distances[pairs], 1e-9)).max() if pairs.any() else 1.0
    return centres * max(1.0, float(tightest))


def _principal(points: Floats) -> Floats:
    """Coordinates (n, 2) along the two directions in which the points (n, d) spread most."""
    left, strength, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    flat = np.zeros((len(points), 2))
    kept = min(2, len(strength))
    flat[:, :kept] = left[:, :kept] * strength[:kept]
    return flat


def _on_disc(points: Floats) -> Floats:
    """Places (n, 2) in the unit disc: directions by PCA, distances from the middle by rank, so that it fills evenly."""
    if len(points) == 1:
        return np.zeros((1, 2))
    flat = _principal(points)
    distance = np.linalg.norm(flat, axis=1)
    rank = np.argsort(np.argsort(distance, kind="stable"), kind="stable")
    # equal points have no direction of their own: they go round, by the golden angle
    angle = np.where(distance > 1e-9, np.arctan2(flat[:, 1], flat[:, 0]), rank * math.pi * (3 - math.sqrt(5)))
    reach = 0.95 * np.sqrt((rank + 0.5) / len(points))
    return np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1)


def _name(categories: Sequence[str]) -> str:
    """The categories that make up most of a cluster."""
    counted = Counter(categories).most_common()
    telling = [label for label, count in counted if count >= TELLING_SHARE * len(categories)] or [counted[0][0]]
    return ", ".join(short_name(label) for label in telling)
