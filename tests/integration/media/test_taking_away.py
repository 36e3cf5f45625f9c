"""Deleting leaves nothing in the store: of posts, of packages, of people, of what was never posted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

import config
from popoff.adapters.storage import store
from popoff.kernel import clock
from popoff.media.models import Post, Upload, UploadFile
from tests.support import clips
from tests.support.outbox import jobs_of, run_due
from tests.support.people import People
from tests.support.wire import Wire, folder_of, post, posted, status, stored, upload, upload_package
from workers import lifecycle, transcode

pytestmark = pytest.mark.usefixtures("worker")

LATER = timedelta(hours=2)
"""After this nothing can be written on a link that was given out."""


def delete(person: object, post_id: int) -> None:
    answer = person.delete("/api/media/delete_post/", data={"video_id": post_id})  # type: ignore[attr-defined]
    assert (answer.status_code, answer.json) == (200, {"message": "Video deleted successfully."})


def test_deleting_a_post_takes_every_object_of_it(
    people: People, wire: Wire, tmp_path: Path, session: orm.Session, picture: bytes, any_store: str
) -> None:
    ticket = upload_package(people.ada, wire, clips.hls_package(tmp_path, seconds=3))
    assert wire.put(ticket["thumb_url"], picture, "image/jpeg").status == 200
    post_id = post(people.ada, ticket, thumbnail_path=ticket["thumb_file_path"])
    kept = upload(people.ada, wire, b"another")
    other = post(people.ada, kept)
    transcode.run(post_id)
    link = status(people.ada, post_id)["link"]
    assert len(stored(folder_of(ticket))) == 4 + 4 + 3, "package and own thumbnail, rendition, master and pictures"

    delete(people.ada, post_id)
    assert people.ada.get(f"/api/media/post/{post_id}/").status_code == 404
    assert [shown["id"] for shown in people.ada.get("/api/media/post/").json["posts"]] == [other]
    assert people.ada.delete("/api/media/delete_post/", data={"video_id": post_id}).status_code == 404
    again = people.ada.post("/api/media/post/", data={"file_path": ticket["video_file_path"]})
    assert (again.status_code, again.json["code"]) == (400, "unknown_file")

    assert run_due("media.purge") == ["media.purge"]
    assert stored(folder_of(ticket)) == {}
    assert wire.get(link).status == 404
    assert list(session.scalars(sa.select(Post.id))) == [other]
    assert len(session.scalars(sa.select(Upload)).all()) == 1
    assert len(session.scalars(sa.select(UploadFile)).all()) == 1
    assert stored(folder_of(kept)) == {"source": 7}


def test_what_comes_on_an_old_link_after_the_deletion_goes_too(people: People, wire: Wire, tiny: bytes) -> None:
    ticket = upload(people.ada, wire, tiny)
    delete(people.ada, post(people.ada, ticket))
    run_due("media.purge")
    assert wire.put(ticket["video_url"], tiny, "video/mp4").status == 200, "the link does not know"
    assert stored(folder_of(ticket)) == {"source": len(tiny)}
    with clock.shifted(LATER):
        assert wire.put(ticket["video_url"], tiny, "video/mp4").status == 403
        assert run_due("media.purge") == ["media.purge"]
    assert stored(folder_of(ticket)) == {}


def test_an_upload_can_be_given_up(people: People, wire: Wire, tiny: bytes, any_store: str) -> None:
    form = {"file_name": "x.mp4", "file_type": "video/mp4", "file_size": len(tiny)}
    begun = people.ada.post("/api/media/uploads/", data=form).json
    here = f"/api/media/uploads/{begun['upload_id']}/"
    link = people.ada.post(f"{here}parts/", json={"parts": [1]}).json["urls"]["1"]
    assert wire.put(link, tiny).status == 200
    assert wire.put(begun["thumb_url"], b"picture", "image/jpeg").status == 200
    assert people.ada.delete(here).status_code == 200
    assert people.ada.delete(here).status_code == people.ada.get(here).status_code == 404
    assert wire.put(link, tiny).status == 404
    run_due("media.purge")
    assert stored(folder_of(begun)) == {}


def test_an_upload_that_was_posted_cannot_be_given_up(people: People, wire: Wire, tiny: bytes) -> None:
    ticket = upload(people.ada, wire, tiny)
    post(people.ada, ticket)
    refused = people.ada.delete(f"/api/media/uploads/{ticket['video_file_path'].split('/')[2]}/")
    assert (refused.status_code, refused.json["code"]) == (409, "upload_claimed")


def test_uploads_that_never_became_a_post_expire_with_their_objects(
    people: People, wire: Wire, tiny: bytes, session: orm.Session
) -> None:
    claimed, *abandoned = (upload(people.ada, wire, tiny) for _ in range(3))
    post_id = post(people.ada, claimed)
    form = {"file_name": "x.mp4", "file_type": "video/mp4", "file_size": len(tiny)}
    begun = people.ada.post("/api/media/uploads/", data=form).json
    link = people.ada.post(f"/api/media/uploads/{begun['upload_id']}/parts/", json={"parts": [1]}).json["urls"]["1"]
    assert wire.put(link, tiny).status == 200
    lifecycle.expire_uploads()
    assert len(session.scalars(sa.select(Upload)).all()) == 4
    with clock.shifted(timedelta(hours=25)):
        young = upload(people.ada, wire, tiny)
        lifecycle.expire_uploads()
        run_due("media.purge")
    assert [stored(folder_of(ticket)) for ticket in abandoned] == [{}, {}]
    assert wire.put(link, tiny).status in (403, 404), "its parts have no place any more"
    assert stored(folder_of(claimed)) == stored(folder_of(young)) == {"source": len(tiny)}
    assert len(session.scalars(sa.select(Upload)).all()) == 2
    assert status(people.ada, post_id)


def test_links_that_live_for_long_keep_their_uploads(people: People, wire: Wire, tiny: bytes) -> None:
    with config.override(upload_expiry_seconds=48 * 3600):
        ticket = upload(people.ada, wire, tiny)
        with clock.shifted(timedelta(hours=25)):
            lifecycle.expire_uploads()
            assert post(people.ada, ticket)


def test_a_person_who_left_leaves_nothing_in_the_store(
    people: People, wire: Wire, tiny: bytes, picture: bytes, session: orm.Session, any_store: str
) -> None:
    ticket = upload(people.ada, wire, tiny, thumbnail=picture)
    transcode.run(post(people.ada, ticket, thumbnail_path=ticket["thumb_file_path"]))
    open_upload = upload(people.ada, wire, tiny)
    kept = upload(people.eve, wire, tiny)
    home = "/".join(ticket["video_file_path"].split("/")[:2]) + "/"
    user_id = int(home.split("/")[1])
    assert people.ada.delete("/api/user/delete_account/").status_code == 200
    with config.override(deletion_grace_days=0), clock.shifted(timedelta(seconds=1)):
        lifecycle.purge_due_accounts()
        assert run_due("accounts.purge") == ["accounts.purge"]
        assert stored(home) == {}
        assert session.scalars(sa.select(Post)).all() == []
        assert wire.put(open_upload["video_url"], tiny, "video/mp4").status == 200, "a link from before"
    with clock.shifted(LATER):
        run_due("media.purge")
    assert list(store().list(f"users/{user_id}/")) == []
    assert stored(folder_of(kept)) == {"source": len(tiny)}


def test_purging_twice_and_purging_nothing_is_fine(people: People, wire: Wire, tiny: bytes) -> None:
    post_id = posted(people.ada, wire, tiny)
    delete(people.ada, post_id)
    (now, later) = jobs_of("media.purge")
    assert later.run_after - now.run_after >= timedelta(hours=1)
    for _ in range(2):
        lifecycle.purge_post(**now.args)
    lifecycle.purge_post(user_id=10**9, upload_id="none")


def test_a_purge_that_comes_for_a_post_that_lives_leaves_its_rows(people: People, wire: Wire, tiny: bytes) -> None:
    ticket = upload(people.ada, wire, tiny)
    post_id = post(people.ada, ticket)
    _, user_id, upload_id, _ = ticket["video_file_path"].split("/")
    lifecycle.purge_post(int(user_id), upload_id)
    assert status(people.ada, post_id)


def test_the_housekeeping_jobs_run(people: People, wire: Wire, tiny: bytes) -> None:
    posted(people.ada, wire, tiny)
    run_due("media.transcode")
    lifecycle.repair_counters()
    with clock.shifted(timedelta(days=8)):
        lifecycle.tidy()
    assert jobs_of("media.transcode") == []
    assert jobs_of("media.insight"), "what was not done stays"
