"""The picture that stands for a film: the one a person chose, where it is one, else ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from popoff.adapters.storage import store
from popoff.media import rules
from tests.integration.media.films import Film, film_of
from tests.support.people import People
from tests.support.wire import Wire, folder_of, post, upload


def image(answer_body: bytes, folder: Path) -> av.VideoFrame:
    path = folder / "shown.jpg"
    path.write_bytes(answer_body)
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def test_the_picture_a_person_chose_is_drawn_anew(
    people: People, wire: Wire, tiny: bytes, picture: bytes, tmp_path: Path
) -> None:
    film = film_of(people, wire, tiny, thumbnail=picture)
    film.run()
    shown = wire.get(film.now["thumbnail_link"]).body
    drawn = image(shown, tmp_path)
    assert (drawn.width, drawn.height) == (400, 300)
    red, green, blue = drawn.to_ndarray(format="rgb24")[150, 200]
    assert red > 200 > 60 > max(green, blue)
    assert b"GPS" in picture
    assert b"GPS" not in shown
    assert wire.put(f"{film.now['thumbnail_link']}", picture, "image/jpeg").status == 405


def large_jpeg(picture: bytes) -> bytes:
    return picture + bytes(rules.MAX_THUMBNAIL_BYTES)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda picture: picture[: len(picture) // 2],
        lambda picture: b"<html><script>alert(1)</script>",
        lambda picture: b"",
        lambda picture: b"\xff\xd8\xff" + bytes(1000),
        large_jpeg,
    ],
    ids=["cut off", "page", "empty", "noise", "too large"],
)
def test_a_picture_that_is_none_is_replaced_by_ours(
    spoil: Callable[[bytes], bytes], people: People, wire: Wire, tiny: bytes, picture: bytes, tmp_path: Path
) -> None:
    film = film_of(people, wire, tiny, thumbnail=picture)
    store().put_bytes(f"{film.folder}thumbnail", spoil(picture), "image/jpeg")  # as S3 would take it
    film.run()
    drawn = image(wire.get(film.now["thumbnail_link"]).body, tmp_path)
    assert (film.now["stage"], drawn.width, drawn.height) == ("ready", 120, 90)


def test_a_picture_that_was_not_chosen_is_not_shown(
    people: People, wire: Wire, tiny: bytes, picture: bytes, tmp_path: Path
) -> None:
    ticket = upload(people.ada, wire, tiny, thumbnail=picture)
    film = Film(people.ada, wire, post(people.ada, ticket), folder_of(ticket))
    film.run()
    assert image(wire.get(film.now["thumbnail_link"]).body, tmp_path).width == 120


def test_a_picture_that_went_away_is_replaced_by_ours(people: People, wire: Wire, tiny: bytes, picture: bytes) -> None:
    film = film_of(people, wire, tiny, thumbnail=picture)
    store().delete([f"{film.folder}thumbnail"])
    film.run()
    assert film.now["stage"] == "ready"
