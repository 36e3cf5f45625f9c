"""`/gift`: giving, and what was given."""

# ruff: noqa: N815 - the names of the wire

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from flask import Response
from flask_restx import Namespace
from pydantic import AliasChoices, BaseModel, Field, RootModel

from popoff.accounts import queries as accounts
from popoff.accounts.rules import Permission
from popoff.blueprints.api.docs import gives, refuses
from popoff.blueprints.api.economy import money
from popoff.blueprints.api.economy.models import PublicPerson
from popoff.blueprints.api.economy.resource import EconomyResource, PageQuery, page
from popoff.kernel.clock import rfc3339
from popoff.kernel.errors import Forbidden
from popoff.rewards import gifts, queries
from popoff.rewards.queries import GiftView
from popoff.scoring import people
from popoff.web import auth
from popoff.web.access import needs, signed_in
from popoff.web.parsing import Input, takes, takes_query
from popoff.web.responses import json_response

api = Namespace("gift", path="/gift", description="Gifts to creators. A gift leaves the giver's wallet at once.")


class GiftBody(Input):
    incomplete: ClassVar[str] = "Missing required fields"

    creator: UUID = Field(validation_alias=AliasChoices("creatorId", "creator_id"), description="To whom.")
    content: UUID = Field(validation_alias=AliasChoices("contentId", "content_id"), description="For which post.")
    amount: money.Amount = Field(description="More than zero, with at most two decimals.")


class ReasonBody(Input):
    incomplete: ClassVar[str] = "Missing required fields"

    reason: str = Field(min_length=1, max_length=10_000, description="At most 500 characters.")


class Gift(BaseModel):
    id: str
    consumerId: str | None = Field(description="Who gave it; null once they are gone.")
    creatorId: str | None
    contentId: str | None
    amount: float
    status: str = Field(description="COMPLETED or REVERSED.")
    createdAt: str
    updatedAt: str


class Named(BaseModel):
    id: str
    title: str


class ListedGift(Gift):
    consumer: PublicPerson | None = Field(None, description="In what was received.")
    creator: PublicPerson | None = Field(None, description="In what was sent.")
    content: Named | None = None


class Gifts(RootModel[list[ListedGift]]):
    """The latest first."""


@api.route("/")
class GiftList(EconomyResource):
    @api.doc(params=money.Key)
    @gives(api, Gift, "Given.", status=201)
    @refuses(
        api,
        s400="invalid, invalid_amount, invalid_key, self_gift, creator_mismatch, daily_limit_exceeded, "
        "insufficient_funds",
        s403="cross_site_request",
        s404="user_not_found, post_not_found",
        s409="idempotency_conflict",
    )
    @signed_in
    @takes(GiftBody)
    def post(self, body: GiftBody) -> Response:
        """Give to the creator of a post. Without a key each request is a gift of its own."""
        given = gifts.give(auth.me().user_id, body.creator, body.content, body.amount, money.key())
        return json_response(gift_row(queries.gift(given.public_id)), 201)


@api.route("/sent/<uuid:user_id>/")
class Sent(EconomyResource):
    @gives(api, Gifts, "The latest first; `X-Next-Cursor` leads on.")
    @refuses(api, s400="invalid, invalid_cursor", s403="forbidden", s404="user_not_found")
    @signed_in
    @takes_query(PageQuery)
    def get(self, query: PageQuery, user_id: UUID) -> Response:
        """What you gave. Nobody sees another's, but for staff who look after the money."""
        found = queries.sent(money.whose(user_id), query.cursor, query.limit)
        return page(_rows(found.gifts, "creator"), found.next_cursor)


@api.route("/received/<uuid:user_id>/")
class Received(EconomyResource):
    @gives(api, Gifts, "The latest first; `X-Next-Cursor` leads on.")
    @refuses(api, s400="invalid, invalid_cursor", s403="forbidden", s404="user_not_found")
    @signed_in
    @takes_query(PageQuery)
    def get(self, query: PageQuery, user_id: UUID) -> Response:
        """What you were given. Nobody sees another's, but for staff who look after the money."""
        found = queries.received(money.whose(user_id), query.cursor, query.limit)
        return page(_rows(found.gifts, "consumer"), found.next_cursor)


@api.route("/<string:gift_id>/reverse/")
class Reversal(EconomyResource):
    @gives(api, Gift, "Taken back.")
    @refuses(
        api,
        s400="invalid, empty_reason, too_long",
        s403="forbidden, own_matter, cross_site_request",
        s404="gift_not_found",
        s409="already_reversed",
        s503="period_closing",
    )
    @needs(Permission.DECIDE_PAYOUTS)
    @takes(ReasonBody)
    def post(self, body: ReasonBody, gift_id: str) -> Response:
        """Give a gift back to its giver. Neither giver nor creator can decide this."""
        me = auth.me().user_id
        gift = queries.gift(gift_id)
        if me in (gift.giver_id, gift.creator_id):
            raise Forbidden("Somebody without a part in this has to decide.", code="own_matter")
        gifts.reverse(gift_id, by=me, reason=body.reason)
        return json_response(gift_row(queries.gift(gift_id)))


def gift_row(gift: GiftView) -> dict[str, Any]:
    """A gift as JSON."""
    return {
        "id": gift.public_id,
        "consumerId": _ref(gift.giver_ref),
        "creatorId": _ref(gift.creator_ref),
        "contentId": _ref(gift.content_ref),
        "amount": money.amount(gift.amount),
        "status": gift.status,
        "createdAt": rfc3339(gift.created_at),
        "updatedAt": rfc3339(gift.updated_at),
    }


def _ref(public_id: UUID | None) -> str | None:
    return None if public_id is None else str(public_id)


def _rows(found: list[GiftView], other: str) -> list[dict[str, Any]]:
    """Gifts with the person on the other side, under the name `other`, and the post."""
    ids = [gift.creator_id if other == "creator" else gift.giver_id for gift in found]
    users = accounts.by_ids(ids)
    profiles = dict(zip(users, people.profiles(list(users.values())), strict=True))
    names = queries.content_names([gift.post_id for gift in found])
    return [
        gift_row(gift)
        | {
            other: profiles.get(user_id),
            "content": _named(names.get(gift.post_id)),
        }
        for gift, user_id in zip(found, ids, strict=True)
    ]


def _named(name: queries.ContentName | None) -> dict[str, str] | None:
    return None if name is None else {"id": str(name.public_id), "title": name.title}
