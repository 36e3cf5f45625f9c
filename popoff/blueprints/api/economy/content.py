"""`/content`: posts as creators list them, and their scores."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar
from uuid import UUID

from flask import Response, request
from flask_restx import Namespace
from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, RootModel, WithJsonSchema

from popoff.blueprints.api.docs import gives, refuses
from popoff.blueprints.api.economy import money
from popoff.blueprints.api.economy.gifts import Gift, gift_row
from popoff.blueprints.api.economy.resource import EconomyResource, PageQuery, page
from popoff.kernel.errors import Forbidden, Invalid
from popoff.media import rules
from popoff.media import service as posts
from popoff.media.rules import PostKind
from popoff.rewards import queries as rewards
from popoff.scoring import content as listing
from popoff.scoring import queries, service
from popoff.social import queries as social
from popoff.web import auth
from popoff.web.access import signed_in
from popoff.web.parsing import Input, takes, takes_query
from popoff.web.responses import json_response

api = Namespace("content", path="/content", description="Posts under ids that tell no numbers, and their scores.")

Kind = Annotated[
    PostKind,
    BeforeValidator(lambda value: value.casefold() if isinstance(value, str) else value),
    WithJsonSchema({"type": "string", "enum": [kind.upper() for kind in PostKind]}),
]
"""In any letters."""
_KINDS = "VIDEO or LIVE."


class ContentQuery(PageQuery):
    creator: UUID | None = Field(
        None, validation_alias=AliasChoices("creatorId", "creator_id"), description="Whose; yours without it."
    )
    kind: Kind | None = Field(None, validation_alias=AliasChoices("type", "kind"), description=_KINDS)


class ContentBody(Input):
    incomplete: ClassVar[str] = "Missing required fields"

    kind: Kind = Field(PostKind.VIDEO, validation_alias=AliasChoices("type", "kind"), description=_KINDS)
    title: str = Field(min_length=1, max_length=10_000, description="1 to 200 characters.")
    description: str = Field("", max_length=100_000, description="At most 2200 characters.")
    tags: str = Field("", max_length=10_000, description="Separated by commas.")
    url: str = Field(
        min_length=1,
        max_length=10_000,
        description="`file_path` of an upload of yours, or the http(s) address of a film that is kept elsewhere.",
    )


class ChangeBody(Input):
    title: str | None = Field(None, max_length=10_000)
    description: str | None = Field(None, max_length=100_000)
    tags: str | None = Field(None, max_length=10_000)


class PartScore(BaseModel):
    score: float | None = Field(description="0 to 100; null where nothing could be measured, and `feedback` says why.")
    feedback: str = Field(description="What was measured.")


class ContentQuality(BaseModel):
    communityGuidelines: PartScore  # noqa: N815
    education: PartScore
    delivery: PartScore
    audioVisual: PartScore  # noqa: N815
    length: PartScore


class Reason(BaseModel):
    input: str = Field(description="What was counted: likes, views, age ...")
    points: float = Field(description="By how much the score would be lower without what it tells.")
    text: str = Field(description="What was counted, and what is usual, in a sentence.")


class Creator(BaseModel):
    id: str
    name: str
    username: str


class Content(BaseModel):
    id: str
    creatorId: str  # noqa: N815
    type: str = Field(description=_KINDS)
    title: str
    description: str
    tags: list[str]
    createdAt: str  # noqa: N815
    updatedAt: str  # noqa: N815
    likes: int
    shares: int
    commentCount: int  # noqa: N815
    watchTime: float = Field(description="Seconds, of all people together.")  # noqa: N815
    length: float = Field(description="Seconds, as measured; 0 before that.")
    views: int
    url: str = Field(description="HLS master playlist, empty until it can be played; or where the film is kept.")
    stage: str = Field(description="received, probing, transcoding, ready or failed.")
    creator: Creator
    engagement: float = Field(description="0 to 100.")
    engagementReasons: list[Reason] = Field(  # noqa: N815
        [], description="What moved `engagement` most, the strongest first; only for its author, by a trained model."
    )
    contentQuality: ContentQuality  # noqa: N815


class WholeContent(Content):
    gifts: list[Gift] = Field(description="The latest: all of them for its author, else those you gave.")


class Contents(RootModel[list[Content]]):
    """The newest first."""


class Number(RootModel[float]):
    """0 to 100."""


@api.route("/")
class ContentList(EconomyResource):
    @gives(api, Contents, "The newest first; `X-Next-Cursor` leads on.")
    @refuses(api, s400="invalid, invalid_cursor, unknown_filter")
    @signed_in
    @takes_query(ContentQuery)
    def get(self, query: ContentQuery) -> Response:
        """Your posts in every stage, or what everybody may see of another's."""
        _refuse_unknown_filters()
        return page(*listing.listed(auth.me().user_id, query.creator, query.kind, query.cursor, query.limit))

    @gives(api, Content, "Posted.", status=201)
    @refuses(
        api,
        s400="invalid, unknown_file, upload_incomplete, invalid_url, empty_title, too_long, invalid_tags",
        s403="cross_site_request",
        s413="file_too_large",
        s503="unavailable",
    )
    @signed_in
    @takes(ContentBody)
    def post(self, body: ContentBody) -> Response:
        """Post an upload of yours, or the address of a film or broadcast elsewhere. Counts and owner are not yours
        to set."""
        user_id = auth.me().user_id
        words: dict[str, Any] = {"title": body.title, "kind": body.kind}
        if rules.is_link(body.url):
            post = posts.create_link(user_id, body.url, body.description, body.tags, **words)
        else:
            try:
                post = posts.create_post(user_id, body.url, "", body.description, body.tags, **words)
            except Invalid as refused:
                raise _about_url(refused) from refused
        service.rescore([post.id])
        return json_response(listing.rows([post.id], user_id)[0], 201)


def _about_url(refused: Invalid) -> Invalid:
    """What other routes call `file_path` is `url` here."""
    field = "url" if refused.field == "file_path" else refused.field
    return Invalid(refused.text, code=refused.error_code, field=field, **refused.details)


def _refuse_unknown_filters() -> None:
    """Who asks for a part must not get the whole because we do not know the filter."""
    known = {"limit", "cursor", "creatorId", "creator_id", "type", "kind"}
    unknown = sorted(set(request.args) - known)
    if unknown:
        raise Invalid(f"There is no filter {unknown[0][:50]!r}.", code="unknown_filter", fields={"query": unknown[:5]})


@api.route("/<uuid:content_id>/")
class ContentItem(EconomyResource):
    @gives(api, WholeContent, "The post.")
    @refuses(api, s404="post_not_found")
    @signed_in
    def get(self, content_id: UUID) -> Response:
        """A post of yours, or one that everybody may see."""
        me = auth.me().user_id
        post = social.reachable_content(me, content_id)
        gifts = rewards.of_post(post.id, None if money.reads_money() else me)
        return json_response({**listing.rows([post.id], me)[0], "gifts": [gift_row(gift) for gift in gifts]})

    @gives(api, Content, "Changed.")
    @refuses(
        api,
        s400="invalid, empty_title, too_long, invalid_tags",
        s403="forbidden, cross_site_request",
        s404="post_not_found",
    )
    @signed_in
    @takes(ChangeBody)
    def put(self, body: ChangeBody, content_id: UUID) -> Response:
        """Change title and caption of one of your posts. Nothing else of a post can be set."""
        user_id = auth.me().user_id
        post = social.reachable_content(user_id, content_id)
        if post.user_id != user_id:
            raise Forbidden("Access denied")
        posts.edit_post(user_id, post.id, body.description, body.tags, title=body.title)
        service.rescore_quality([post.id])
        return json_response(listing.rows([post.id], user_id)[0])


@api.route("/<uuid:content_id>/engagement-score/")
class EngagementScore(EconomyResource):
    @gives(api, Number, "The score as it is stored.")
    @refuses(api, s404="post_not_found")
    @signed_in
    def get(self, content_id: UUID) -> Response:
        """How people take to a post."""
        post = social.reachable_content(auth.me().user_id, content_id)
        return json_response(queries.engagement(post.id).score)

    @gives(api, Number, "The score as it is stored; a new one follows.")
    @refuses(api, s403="cross_site_request", s404="post_not_found")
    @signed_in
    def post(self, content_id: UUID) -> Response:
        """Have it worked out anew how people take to a post: within seconds, what GET answers is the new score."""
        post = social.reachable_content(auth.me().user_id, content_id)
        service.ask(post.id)
        return json_response(queries.engagement(post.id).score)


@api.route("/<uuid:content_id>/quality-score/")
class QualityScore(EconomyResource):
    @gives(api, ContentQuality, "The five parts as they are stored.")
    @refuses(api, s404="post_not_found")
    @signed_in
    def get(self, content_id: UUID) -> Response:
        """What a post is like."""
        post = social.reachable_content(auth.me().user_id, content_id)
        return json_response(listing.parts(queries.quality(post.id)))

    @gives(api, ContentQuality, "The five parts as they are stored; new ones follow.")
    @refuses(api, s403="cross_site_request", s404="post_not_found")
    @signed_in
    def post(self, content_id: UUID) -> Response:
        """Have it worked out anew what a post is like: soon, what GET answers is the new score."""
        post = social.reachable_content(auth.me().user_id, content_id)
        service.ask(post.id)
        return json_response(listing.parts(queries.quality(post.id)))
