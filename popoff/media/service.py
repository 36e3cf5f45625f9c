"""Writes of the media domain: uploads, posts and their way to being played."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

import config
from popoff.accounts import service as accounts
from popoff.adapters import jobs
from popoff.adapters.storage import SignedPut, store
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict, Invalid, TooLarge, TooMany
from popoff.media import queries, rules
from popoff.media.models import Post, Upload, UploadFile
from popoff.media.rules import FileRole, PlannedFile, Stage, UploadKind, Visibility


@dataclass(frozen=True)
class Ticket:
    """An upload that was begun: where to PUT each file (by the client's own name for it), and its keys."""

    upload_id: str
    puts: dict[str, SignedPut]
    source_key: str
    thumbnail_key: str
    thumbnail_put: SignedPut


def begin_single(user_id: int, file_name: str, content_type: str, size: int | None) -> Ticket:
    """One presigned PUT for a source file. Raises Invalid, TooMany."""
    if size is not None:
        rules.plan_parts(size, config.current().max_upload_bytes)
    return _begin(user_id, UploadKind.SINGLE, rules.plan_single(file_name, content_type), size)


def begin_package(user_id: int, names: Sequence[str], playlist_type: str) -> Ticket:
    """A presigned PUT for each file of a ready HLS package. Raises Invalid, TooMany."""
    return _begin(user_id, UploadKind.PACKAGE, rules.plan_package(names, playlist_type), None)


def _begin(user_id: int, kind: UploadKind, planned: Sequence[PlannedFile], size: int | None) -> Ticket:
    upload = _new_upload(user_id, kind, planned, size)
    puts: dict[FileRole, dict[str, SignedPut]] = {role: {} for role in FileRole}
    for plan, file in zip(planned, upload.files, strict=True):
        exact = size if plan.role is FileRole.SOURCE else None
        puts[plan.role][plan.label] = store().sign_put(
            file.key,
            content_type=plan.content_type,
            max_bytes=_max_bytes(plan.role),
            exact_bytes=exact,
            expires_seconds=config.current().upload_expiry_seconds,
        )
    source = next(file.key for file in upload.files if file.role in (FileRole.SOURCE, FileRole.PLAYLIST))
    thumbnail = next(file.key for file in upload.files if file.role == FileRole.THUMBNAIL)
    return Ticket(
        upload_id=upload.id,
        puts={**puts[FileRole.SOURCE], **puts[FileRole.PLAYLIST], **puts[FileRole.SEGMENT]},
        source_key=source,
        thumbnail_key=thumbnail,
        thumbnail_put=next(iter(puts[FileRole.THUMBNAIL].values())),
    )


def _new_upload(user_id: int, kind: UploadKind, planned: Sequence[PlannedFile], size: int | None) -> Upload:
    if queries.open_uploads(user_id) >= rules.MAX_OPEN_UPLOADS:
        raise TooMany("Too many uploads were begun and not posted.", code="too_many_uploads", retry_after=3600)
    upload_id = str(uuid.uuid4())
    upload = Upload(id=upload_id, user_id=user_id, kind=kind.value, declared_bytes=size, created_at=clock.now())
    upload.files = [
        UploadFile(
            key=rules.prefix(user_id, upload_id) + plan.name,
            label=plan.label,
            content_type=plan.content_type,
            role=plan.role.value,
        )
        for plan in planned
    ]
    db.session.add(upload)
    db.session.flush()
    return upload


def _max_bytes(role: FileRole) -> int:
    limits = {FileRole.THUMBNAIL: rules.MAX_THUMBNAIL_BYTES, FileRole.PLAYLIST: rules.MAX_PLAYLIST_BYTES}
    return limits.get(role, config.current().max_upload_bytes)


def begin_multipart(user_id: int, file_name: str, content_type: str, size: int) -> tuple[Upload, int]:
    """A resumable upload of `size` bytes: the upload and its number of parts. Raises Invalid, TooMany."""
    count = rules.plan_parts(size, config.current().max_upload_bytes)
    upload = _new_upload(user_id, UploadKind.MULTIPART, rules.plan_single(file_name, content_type), size)
    upload.multipart_id = store().start_multipart(source_file(upload).key, content_type)
    db.session.flush()
    return upload, count


def source_file(upload: Upload) -> UploadFile:
    """The file a post is made from: the source itself, or the playlist of a package."""
    return next(file for file in upload.files if file.role in (FileRole.SOURCE, FileRole.PLAYLIST))


def sign_parts(user_id: int, upload_id: str, numbers: Sequence[int]) -> dict[int, SignedPut]:
    """A presigned PUT for each of these parts (from 1). Raises Invalid (code `invalid_part`), Conflict, NotFound."""
    upload = _open_multipart(user_id, upload_id)
    size = upload.declared_bytes or 0
    count = rules.plan_parts(size, config.current().max_upload_bytes)
    if not numbers or any(not 1 <= number <= count for number in numbers):
        raise Invalid(f"Parts are numbered from 1 to {count}.", code="invalid_part", field="parts")
    return {
        number: store().sign_part(
            source_file(upload).key,
            upload.multipart_id or "",
            number,
            max_bytes=rules.PART_BYTES,
            exact_bytes=rules.part_bytes(size, number),
            expires_seconds=config.current().upload_expiry_seconds,
        )
        for number in numbers
    }


def _open_multipart(user_id: int, upload_id: str) -> Upload:
    upload = queries.upload(user_id, upload_id)
    if upload.kind != UploadKind.MULTIPART or upload.multipart_id is None:
        raise Conflict("This upload takes no parts (any more).", code="upload_not_open")
    return upload


def received_parts(user_id: int, upload_id: str) -> list[dict[str, int]]:
    """`[{number, size}]` of the parts that have arrived: where a client goes on after a break."""
    upload = _open_multipart(user_id, upload_id)
    parts = store().parts(source_file(upload).key, upload.multipart_id or "")
    return [{"number": part.number, "size": part.size} for part in parts]


def complete_multipart(user_id: int, upload_id: str) -> str:
    """Join the parts; the key to post with. May be repeated. Raises Invalid (code `upload_incomplete`)."""
    upload = queries.upload(user_id, upload_id)
    key = source_file(upload).key
    if upload.multipart_id is None and upload.kind == UploadKind.MULTIPART and store().stat(key):
        return key
    upload = _open_multipart(user_id, upload_id)
    parts = store().parts(key, upload.multipart_id or "")
    if sum(part.size for part in parts) != upload.declared_bytes:
        raise Invalid("Not all parts have arrived.", code="upload_incomplete")
    store().complete_multipart(key, upload.multipart_id or "", parts)
    upload.multipart_id = None
    db.session.flush()
    return key


def abandon_upload(upload: Upload) -> None:
    """Forget an upload that never became a post, and its objects."""
    if upload.multipart_id:
        store().abort_multipart(source_file(upload).key, upload.multipart_id)
    store().delete_prefix(rules.prefix(upload.user_id, upload.id))
    db.session.delete(upload)
    db.session.flush()


def create_post(user_id: int, file_path: str, thumbnail_path: str, description: str, tags: str) -> Post:
    """Post an upload of one's own. Posting the same upload again gives the post it already became.

    Sizes and lengths that a client tells are not taken over: the probe measures them.
    Raises Invalid (codes `unknown_file`, `upload_incomplete`, ...), TooLarge.
    """
    text, tag_list = rules.check_description(description), rules.parse_tags(tags)
    file = queries.upload_of_key(user_id, file_path)
    if file is None or file is not source_file(file.upload):
        raise Invalid("There is no such upload of yours.", code="unknown_file", field="file_path")
    upload = file.upload
    source = store().stat(file.key)
    if source is None:
        raise Invalid("The file has not been uploaded.", code="upload_incomplete", field="file_path")
    if source.size > config.current().max_upload_bytes:
        raise TooLarge("The file is too large.", code="file_too_large", field="file_path")
    thumbnail = next((f.key for f in upload.files if f.role == FileRole.THUMBNAIL and f.key == thumbnail_path), None)
    row = {
        "user_id": user_id,
        "upload_id": upload.id,
        "description": text,
        "tags": tag_list,
        "source_key": file.key,
        "source_bytes": source.size,
        "thumbnail_key": thumbnail if thumbnail and store().stat(thumbnail) else None,
        "created_at": clock.now(),
    }
    post_id = db.session.execute(
        insert(Post).values(row).on_conflict_do_nothing(constraint="uq_posts_upload_id").returning(Post.id)
    ).scalar_one_or_none()
    if post_id is None:
        return db.session.scalars(sa.select(Post).where(Post.upload_id == upload.id)).one()
    upload.claimed = True
    accounts.became_creator(user_id)
    jobs.stage("media.transcode", post_id=post_id)
    return db.session.get_one(Post, post_id)


def edit_post(user_id: int, post_id: int, description: str | None, tags: str | None) -> Post:
    """Change the caption. Raises NotFound, Invalid."""
    post = queries.owned(user_id, post_id)
    if description is not None:
        post.description = rules.check_description(description)
    if tags is not None:
        post.tags = rules.parse_tags(tags)
    jobs.stage("media.insight", unique_key=f"insight:{post_id}", post_id=post_id)
    db.session.flush()
    return post


def delete_post(user_id: int, post_id: int) -> None:
    """Take a post out of sight at once; a job takes its objects out of the store. Raises NotFound."""
    post = queries.owned(user_id, post_id)
    post.deleted_at = clock.now()
    jobs.stage("media.purge", post_id=post_id)
    db.session.flush()


def purge_objects(user_id: int, upload_id: str) -> int:
    """Delete every object of an upload: source, package, renditions, pictures. Returns how many there were."""
    return store().delete_prefix(rules.prefix(user_id, upload_id))


def purge_user_objects(user_id: int) -> int:
    return store().delete_prefix(f"users/{user_id}/")


def erase_post(post: Post) -> None:
    """Remove the rows of a post whose objects are gone."""
    upload_id = post.upload_id
    db.session.delete(post)
    db.session.flush()
    db.session.execute(sa.delete(Upload).where(Upload.id == upload_id))


def forget(user_id: int) -> None:
    """Remove all rows of a person."""
    db.session.execute(sa.delete(Post).where(Post.user_id == user_id))
    db.session.execute(sa.delete(Upload).where(Upload.user_id == user_id))


def set_stage(post_id: int, stage: Stage, progress: int) -> bool:
    """Note how far the pipeline is. False when the post was deleted meanwhile: the work can stop."""
    result = db.session.execute(
        sa.update(Post)
        .where(Post.id == post_id, Post.deleted_at.is_(None))
        .values(stage=stage.value, progress=max(0, min(progress, 100)), failure_code=None)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def set_facts(post_id: int, facts: dict[str, Any], *, width: int, height: int, duration_ms: int) -> None:
    """What the probe measured of the source."""
    _update(post_id, source_facts=facts, width=width, height=height, duration_ms=duration_ms)


def set_pictures(post_id: int, *, thumbnail_key: str, preview_key: str) -> None:
    """Our pictures; a thumbnail the person chose themselves stays."""
    _update(post_id, thumbnail_key=sa.func.coalesce(Post.thumbnail_key, thumbnail_key), preview_key=preview_key)


def set_renditions(
    post_id: int, renditions: list[dict[str, Any]], *, duration_ms: int, loudness: dict[str, Any] | None
) -> None:
    """The renditions that are up. With the first of them the post can be played and recommended."""
    _update(
        post_id,
        renditions=renditions,
        duration_ms=duration_ms,
        loudness=loudness,
        playable_at=sa.func.coalesce(Post.playable_at, clock.now()),
    )


def set_ready(post_id: int) -> None:
    _update(post_id, stage=Stage.READY.value, progress=100, failure_code=None)
    jobs.stage("media.insight", unique_key=f"insight:{post_id}", post_id=post_id)


def set_failed(post_id: int, code: str) -> None:
    """The source cannot be made into a post; its owner reads the code. Nothing half-made is shown."""
    _update(post_id, stage=Stage.FAILED.value, failure_code=code, playable_at=None, renditions=[])


def _update(post_id: int, **values: Any) -> None:
    db.session.execute(sa.update(Post).where(Post.id == post_id).values(**values))


def retry(post_id: int) -> None:
    """Send a post through the pipeline again."""
    _update(post_id, stage=Stage.RECEIVED.value, progress=0, failure_code=None)
    jobs.stage("media.transcode", unique_key=f"transcode:{post_id}", post_id=post_id)


def set_visibility(post_id: int, visibility: Visibility) -> None:
    """Moderation's handle on a post."""
    _update(post_id, visibility=visibility.value)


def give_up_upload(user_id: int, upload_id: str) -> None:
    """Forget an upload of one's own. Raises NotFound, Conflict (code `upload_claimed`) once it was posted."""
    upload = queries.upload(user_id, upload_id)
    if upload.claimed:
        raise Conflict("This upload was posted; delete the post.", code="upload_claimed")
    abandon_upload(upload)
