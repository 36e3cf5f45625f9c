"""Writes of the media domain: uploads and posts. What the transcoding notes on a post is in `pipeline`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

import config
from popoff.accounts import service as accounts
from popoff.adapters import jobs
from popoff.adapters.storage import SignedPut, store
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict, Invalid, TooLarge, TooMany
from popoff.media import queries, rules
from popoff.media.models import Post, Upload, UploadFile
from popoff.media.rules import FileRole, PlannedFile, PostKind, Stage, UploadKind, Visibility

# --- uploads --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ticket:
    """An upload that was begun: where to PUT each file (by the client's own name for it), and its keys.

    `parts` is the number of parts of a resumable upload, whose links are asked for part by part (`sign_parts`).
    """

    upload_id: str
    source_key: str
    puts: dict[str, SignedPut]
    thumbnail_key: str
    thumbnail_put: SignedPut
    parts: int = 0


def begin_single(user_id: int, file_name: str, content_type: str, size: int | None) -> Ticket:
    """One presigned PUT for a source file, which takes exactly `size` bytes when told. Raises Invalid, TooMany."""
    if size is not None:
        rules.check_size(size, config.current().max_upload_bytes)
    upload = _new_upload(user_id, UploadKind.SINGLE, rules.plan_single(file_name, content_type), size)
    return _ticket(upload, {source_file(upload).label: _sign_put(source_file(upload), size)})


def begin_package(user_id: int, names: Sequence[str], playlist_type: str) -> Ticket:
    """A presigned PUT for each file of a ready HLS package. Raises Invalid, TooMany."""
    upload = _new_upload(user_id, UploadKind.PACKAGE, rules.plan_package(names, playlist_type), None)
    return _ticket(upload, {file.label: _sign_put(file) for file in upload.files if file.role != FileRole.THUMBNAIL})


def begin_multipart(user_id: int, file_name: str, content_type: str, size: int) -> Ticket:
    """A resumable upload of `size` bytes. Raises Invalid, TooMany."""
    rules.check_size(size, config.current().max_upload_bytes)
    upload = _new_upload(user_id, UploadKind.MULTIPART, rules.plan_single(file_name, content_type), size)
    upload.multipart_id = store().start_multipart(source_file(upload).key, content_type)
    db.session.flush()
    return _ticket(upload, {}, rules.part_count(size))


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


def _ticket(upload: Upload, puts: dict[str, SignedPut], parts: int = 0) -> Ticket:
    thumbnail = thumbnail_file(upload)
    assert thumbnail is not None, "every plan has one"
    return Ticket(upload.id, source_file(upload).key, puts, thumbnail.key, _sign_put(thumbnail), parts)


def _sign_put(file: UploadFile, exact_bytes: int | None = None) -> SignedPut:
    limits = {FileRole.THUMBNAIL: rules.MAX_THUMBNAIL_BYTES, FileRole.PLAYLIST: rules.MAX_PLAYLIST_BYTES}
    return store().sign_put(
        file.key,
        content_type=file.content_type,
        max_bytes=limits.get(FileRole(file.role), config.current().max_upload_bytes),
        exact_bytes=exact_bytes,
        expires_seconds=config.current().upload_expiry_seconds,
    )


def source_file(upload: Upload) -> UploadFile:
    """The file a post is made from: the source itself, or the playlist of a package."""
    return next(file for file in upload.files if file.role in (FileRole.SOURCE, FileRole.PLAYLIST))


def thumbnail_file(upload: Upload) -> UploadFile | None:
    """The picture the person chose themselves."""
    return next((file for file in upload.files if file.role == FileRole.THUMBNAIL), None)


def sign_parts(user_id: int, upload_id: str, numbers: Sequence[int]) -> dict[int, SignedPut]:
    """A presigned PUT for each of these parts (from 1). Raises Invalid (code `invalid_part`), Conflict, NotFound."""
    upload, multipart_id = _open_multipart(user_id, upload_id)
    size = upload.declared_bytes or 0
    count = rules.part_count(size)
    if not numbers or any(not 1 <= number <= count for number in numbers):
        raise Invalid(f"Parts are numbered from 1 to {count}.", code="invalid_part", field="parts")
    return {
        number: store().sign_part(
            source_file(upload).key,
            multipart_id,
            number,
            max_bytes=rules.PART_BYTES,
            exact_bytes=rules.part_bytes(size, number),
            expires_seconds=config.current().upload_expiry_seconds,
        )
        for number in numbers
    }


def _open_multipart(user_id: int, upload_id: str) -> tuple[Upload, str]:
    upload = queries.upload(user_id, upload_id)
    if upload.multipart_id is None:
        raise Conflict("This upload takes no parts (any more).", code="upload_not_open")
    return upload, upload.multipart_id


def received_parts(user_id: int, upload_id: str) -> list[dict[str, int]]:
    """`[{number, size}]` of the parts that have arrived: where a client goes on after a break."""
    upload, multipart_id = _open_multipart(user_id, upload_id)
    parts = store().parts(source_file(upload).key, multipart_id)
    return [{"number": part.number, "size": part.size} for part in parts]


def complete_multipart(user_id: int, upload_id: str) -> str:
    """Join the parts; the key to post with. May be repeated, also after an answer that was lost on its way.

    Raises NotFound, Conflict (code `upload_not_open`) for other kinds, Invalid (code `upload_incomplete`).
    """
    upload = queries.upload(user_id, upload_id, lock=True)
    key = source_file(upload).key
    if upload.kind != UploadKind.MULTIPART:
        raise Conflict("This upload takes no parts.", code="upload_not_open")
    # Only joining writes under this key: an object there means that it was done, even if we crashed right after.
    if upload.multipart_id is not None and store().stat(key) is None:
        parts = store().parts(key, upload.multipart_id)
        if sum(part.size for part in parts) != upload.declared_bytes:
            raise Invalid("Not all parts have arrived.", code="upload_incomplete")
        store().complete_multipart(key, upload.multipart_id, parts)
    upload.multipart_id = None
    db.session.flush()
    return key


def give_up_upload(user_id: int, upload_id: str) -> None:
    """Forget an upload of one's own. Raises NotFound, Conflict (code `upload_claimed`) once it was posted."""
    upload = queries.upload(user_id, upload_id, lock=True)
    if upload.claimed:
        raise Conflict("This upload was posted; delete the post.", code="upload_claimed")
    abandon_upload(upload)


def abandon_upload(upload: Upload) -> None:
    """Forget an upload (locked by the caller) that never became a post; its objects follow."""
    if upload.multipart_id:
        store().abort_multipart(source_file(upload).key, upload.multipart_id)
    _stage_purge(upload.user_id, upload.id)
    db.session.delete(upload)
    db.session.flush()


# --- posts ----------------------------------------------------------------------------------------------------------


def create_post(
    user_id: int,
    file_path: str,
    thumbnail_path: str,
    description: str,
    tags: str,
    *,
    title: str | None = None,
    kind: PostKind = PostKind.VIDEO,
) -> Post:
    """Post an upload of one's own. Posting the same upload again gives the post it already became.

    Sizes and lengths that a client tells are not taken over: the probe measures them.
    Raises Invalid (codes `unknown_file`, `upload_incomplete`, `too_long`, `invalid_tags`, `empty_title`), TooLarge.
    """
    headline = "" if title is None else rules.check_title(title)
    text, tag_list = rules.check_description(description), rules.parse_tags(tags)
    unknown = Invalid("There is no such upload of yours.", code="unknown_file", field="file_path")
    upload = queries.lock_upload_of_key(user_id, file_path)
    if upload is None or file_path != source_file(upload).key:
        raise unknown
    posted = queries.of_upload(upload.id)
    if posted is not None:
        if posted.deleted_at is not None:
            raise unknown
        return posted
    source_bytes = _settle_files(upload, thumbnail_path)
    post = Post(
        user_id=user_id,
        upload_id=upload.id,
        kind=kind.value,
        title=headline,
        description=text,
        tags=tag_list,
        source_key=file_path,
        source_bytes=source_bytes,
        created_at=clock.now(),
    )
    upload.claimed = True
    db.session.add(post)
    db.session.flush()
    accounts.became_creator(user_id)
    jobs.stage("media.transcode", post_id=post.id)
    return post


def create_link(user_id: int, address: str, description: str, tags: str, *, title: str, kind: PostKind) -> Post:
    """Post a film that is kept elsewhere, such as a broadcast. Its address is only handed on: we never fetch it.

    It cannot be played here and is in no feed, but it can be found through its author, and given to.
    Raises Invalid (codes `invalid_url`, `too_long`, `invalid_tags`, `empty_title`).
    """
    now = clock.now()
    upload = Upload(id=str(uuid.uuid4()), user_id=user_id, kind=UploadKind.LINK.value, claimed=True, created_at=now)
    post = Post(
        user_id=user_id,
        upload_id=upload.id,
        kind=kind.value,
        link=rules.check_link(address),
        title=rules.check_title(title),
        description=rules.check_description(description),
        tags=rules.parse_tags(tags),
        source_key=rules.prefix(user_id, upload.id),
        stage=Stage.READY.value,
        progress=100,
        created_at=now,
    )
    db.session.add(upload)
    db.session.flush()
    db.session.add(post)
    db.session.flush()
    accounts.became_creator(user_id)
    return post


def _settle_files(upload: Upload, thumbnail_path: str) -> int:
    """Check what has arrived and forget a thumbnail that was not chosen; how many bytes the source has."""
    sizes = _arrived(upload)
    thumbnail = thumbnail_file(upload)
    if thumbnail and (thumbnail.key != thumbnail_path or thumbnail.key not in sizes):
        upload.files.remove(thumbnail)
    sources = [file for file in upload.files if file.role != FileRole.THUMBNAIL]
    missing = [file.label for file in sources if file.key not in sizes]
    if missing:
        raise Invalid(f"{missing[0]} has not been uploaded.", code="upload_incomplete", field="file_path")
    total = sum(sizes[file.key] for file in sources)
    if total > config.current().max_upload_bytes:
        raise TooLarge("The file is too large.", code="file_too_large", field="file_path")
    return total


def _arrived(upload: Upload) -> dict[str, int]:
    """Bytes by key of the files that are in the store: S3 takes PUTs of any size where none was signed."""
    if upload.kind == UploadKind.PACKAGE:  # hundreds of files: one listing instead of a question for each
        return {found.key: found.size for found in store().list(rules.prefix(upload.user_id, upload.id))}
    found = [store().stat(file.key) for file in upload.files]
    return {info.key: info.size for info in found if info}


def edit_post(
    user_id: int, post_id: int, description: str | None, tags: str | None, *, title: str | None = None
) -> Post:
    """Change title and caption; what is None stays. Raises NotFound, Invalid."""
    post = queries.owned(user_id, post_id)
    if title is not None:
        post.title = rules.check_title(title)
    if description is not None:
        post.description = rules.check_description(description)
    if tags is not None:
        post.tags = rules.parse_tags(tags)
    jobs.stage("media.insight", unique_key=f"insight:{post_id}", post_id=post_id)
    jobs.stage("scoring.rescore", unique_key=f"score:{post_id}", post_id=post_id)
    db.session.flush()
    return post


def retry(post_id: int) -> None:
    """Send a post through the pipeline again. Raises NotFound (code `post_not_found`)."""
    post = queries.by_id(post_id)
    if post is None or post.deleted_at is not None or post.link is not None:
        raise queries.not_found()
    post.stage, post.progress, post.failure_code = Stage.RECEIVED.value, 0, None
    jobs.stage("media.transcode", unique_key=f"transcode:{post_id}", post_id=post_id)
    db.session.flush()


def set_visibility(post_id: int, visibility: Visibility) -> None:
    """Moderation's handle on a post."""
    db.session.execute(sa.update(Post).where(Post.id == post_id).values(visibility=visibility.value))
    jobs.stage("scoring.rescore", unique_key=f"score:{post_id}", post_id=post_id)


# --- taking away ----------------------------------------------------------------------------------------------------


def delete_post(user_id: int, post_id: int) -> None:
    """Take a post out of sight at once; a job takes its objects out of the store. Raises NotFound."""
    post = queries.owned(user_id, post_id)
    post.deleted_at = clock.now()
    _stage_purge(user_id, post.upload_id)
    db.session.flush()


def _stage_purge(user_id: int, upload_id: str) -> None:
    """Have the objects deleted: now, and again when nobody can write there any more."""
    for delay in (timedelta(), _last_writes()):
        jobs.stage("media.purge", delay=delay, user_id=user_id, upload_id=upload_id)


def _last_writes() -> timedelta:
    """How long something may still arrive: on a link that was given out, or from a pipeline that hears of nothing."""
    links = timedelta(seconds=config.current().upload_expiry_seconds)
    return max(links, timedelta(seconds=jobs.JOBS["media.transcode"].timeout)) + timedelta(minutes=1)


def purge_objects(user_id: int, upload_id: str) -> int:
    """Delete every object of an upload: source, package, renditions, pictures. Returns how many there were."""
    return store().delete_prefix(rules.prefix(user_id, upload_id))


def erase(upload_id: str) -> None:
    """Remove the rows of a deleted post, once its objects are gone."""
    db.session.execute(sa.delete(Post).where(Post.upload_id == upload_id, Post.deleted_at.is_not(None)))
    in_use = sa.exists().where(Post.upload_id == Upload.id)
    db.session.execute(sa.delete(Upload).where(Upload.id == upload_id, sa.not_(in_use)))


def purge_person(user_id: int) -> None:
    """Remove everything of a person: objects first, so that a crash in between leaves rows to find them by."""
    store().delete_prefix(rules.folder_of(user_id))
    for upload_id in queries.unsettled_uploads(user_id, clock.now() - _last_writes()):
        jobs.stage("media.purge", delay=_last_writes(), user_id=user_id, upload_id=upload_id)
    db.session.execute(sa.delete(Post).where(Post.user_id == user_id))
    db.session.execute(sa.delete(Upload).where(Upload.user_id == user_id))
