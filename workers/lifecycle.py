"""Jobs that take things away and keep counts honest. Each may run twice: what is gone already is skipped."""

from __future__ import annotations

import logging
from datetime import timedelta

import structlog

import config
from popoff.accounts import queries as accounts
from popoff.accounts import service as account_service
from popoff.adapters import jobs
from popoff.adapters.storage import store
from popoff.feed import service as feed
from popoff.feed import sessions
from popoff.kernel import clock
from popoff.media import queries as media
from popoff.media import service as media_service
from popoff.moderation import service as moderation
from popoff.social import service as social
from workers.base import transaction

log = structlog.get_logger()

UPLOADS_LIVE = timedelta(hours=24)
DONE_JOBS_LIVE = timedelta(days=7)


def purge_post(user_id: int, upload_id: str) -> None:
    """Delete what a deleted post or a forgotten upload has in the store, then the rows of the post.

    Objects first: a crash in between leaves rows to find them by.
    """
    media_service.purge_objects(user_id, upload_id)
    with transaction():
        media_service.erase(upload_id)


def expire_uploads() -> None:
    """Forget uploads that never became a post, one by one, and what was left half-written in the store."""
    while _expire_upload():
        pass
    store().sweep_temporary()


def _expire_upload() -> bool:
    live = max(UPLOADS_LIVE, timedelta(seconds=config.current().upload_expiry_seconds))
    with transaction():
        upload = media.lock_abandoned_upload(live)
        if upload is not None:
            media_service.abandon_upload(upload)
    return upload is not None


def purge_due_accounts() -> None:
    """Stage the removal of everybody whose grace period is over."""
    before = clock.now() - timedelta(days=config.current().deletion_grace_days)
    with transaction():
        for user_id in accounts.due_for_deletion(before):
            jobs.stage("accounts.purge", unique_key=f"purge:{user_id}", user_id=user_id)


def purge_account(user_id: int) -> None:
    """Remove a person: media out of the store, likes out of the counts, name out of the pages.

    A person who signed in again meanwhile is left alone.
    """
    with transaction():
        user = account_service.lock_due_for_deletion(user_id)
        if user is None:
            return
        # The store first: it may take long, and what follows locks counters that other people wait for.
        media_service.purge_person(user_id)
        moderation.forget(user_id)
        feed.reset(user_id)
        sessions.forget(user_id)
        social.forget(user_id)
        account_service.erase(user)


def repair_counters() -> None:
    """Recount; anything but 0 is a bug worth a look."""
    with transaction():
        wrong = social.repair_counters()
    log.log(logging.WARNING if wrong else logging.DEBUG, "counters_checked", wrong=wrong)


def tidy() -> None:
    """Forget what has had its day: jobs that are done, tokens that expired, failed logins that count no more."""
    with transaction():
        jobs.tidy(DONE_JOBS_LIVE)
        account_service.tidy()
