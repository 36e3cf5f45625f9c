"""`/post`: likes, comments, engagement, shares, reports, what one does not want to see, and reach."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from flask_restx import Namespace, Resource
from pydantic import AliasChoices, BaseModel, Field

from popoff.accounts.rules import Permission, permits
from popoff.blueprints.api.docs import Message, gives, refuses
from popoff.feed import reach, sessions, wishes
from popoff.feed import service as feed
from popoff.moderation import service as moderation
from popoff.social import queries as social
from popoff.social import service
from popoff.web import auth
from popoff.web.access import signed_in
from popoff.web.parsing import Id, Input, takes, takes_query
from popoff.web.responses import json_response, message

api = Namespace("post", path="/post", description="What people do with posts.")


class LikeBody(Input):
    video_id: Id
    like: bool = Field(description="The state wanted: liked or not.")


class CommentsBody(Input):
    video_id: Id
    cursor: str | None = Field(None, max_length=500, description="`next_cursor` of the page before.")


class CommentBody(Input):
    video_id: Id
    comment: str = Field(max_length=100_000, description="1 to 1000 characters.")


class CommentIdBody(Input):
    comment_id: Id = Field(description="Number of the comment.")


class EngagementBody(Input):
    video_id: Id
    watch_time: float = Field(ge=0, description="Seconds watched.")
    liked: bool = False
    commented: bool = False
    viewed_comments: bool = False


class ImpressionsBody(Input):
    impressions: list[Annotated[str, Field(max_length=200)]] = Field(
        max_length=200,
        validation_alias=AliasChoices("impressions[]", "impressions"),
        description="`impression` of feed items that were on the screen.",
    )


class ShareBody(Input):
    video_id: Id


class ReportBody(Input):
    video_id: Id
    reason: str = Field(max_length=100_000, description="1 to 500 characters.")


class NotInterestedBody(Input):
    video_id: Id
    undo: bool = Field(False, description="Take it back.")


class ReachQuery(Input):
    video_id: Id


class CommentModel(BaseModel):
    id: int
    user: str
    comment: str
    created_at: str


class Comments(BaseModel):
    comments: list[CommentModel]
    next_cursor: str | None = None


class Commented(Message):
    id: int = Field(description="Number of the comment.")


class Seen(Message):
    counted: int = Field(description="How many that was news of.")


class Counted(Message):
    watch_time: float = Field(description="Seconds that counted.")


class Source(BaseModel):
    source: str = Field(description="interest, watched, following, popular, fresh or explore.")
    sentence: str = Field(description="The same for people.")
    served: int = Field(description="How often the feed offered it for this reason.")
    seen: int = Field(description="How often somebody then had it before their eyes.")


class FirstAudience(BaseModel):
    promised: int = Field(description="Impressions that every new post gets.")
    given: int
    owed: bool = Field(description="Whether the rest is still to come.")


class LimitModel(BaseModel):
    code: str = Field(
        description="author_suspended, author_leaving, hidden, removed, kept_elsewhere, failed, not_playable, "
        "first_audience, not_read or no_words."
    )
    sentence: str


class Reach(BaseModel):
    video_id: int
    served: int
    seen: int
    sources: list[Source] = Field(description="Where the impressions came from, the most first.")
    people: int = Field(description="Different people who saw it, in the feed or elsewhere.")
    views: int
    watched: float | None = Field(description="How much of it a viewer watches, 0 to 1; null without views.")
    likes: int
    comments: int
    shares: int
    first_audience: FirstAudience
    limits: list[LimitModel] = Field(description="What limits it just now, the gravest first.")


@api.route("/like/")
class LikePost(Resource):
    @gives(api, Message, "Liked, or not any more.")
    @refuses(api, s400="invalid", s404="post_not_found")
    @signed_in
    @takes(LikeBody)
    def post(self, body: LikeBody) -> Response:
        """Set whether you like a post."""
        user_id = auth.me().user_id
        changed = service.set_like(user_id, body.video_id, body.like)
        if changed and body.like:
            feed.learn(user_id, body.video_id, liked=True)
        elif changed:
            feed.unlearn_like(user_id, body.video_id)
        return message("Video already liked." if body.like and not changed else "Video liked successfully.")


@api.route("/impressions/")
class Impressions(Resource):
    @gives(api, Seen, "Noted.")
    @refuses(api, s400="invalid, invalid_cursor")
    @signed_in
    @takes(ImpressionsBody)
    def post(self, body: ImpressionsBody) -> Response:
        """Tell which feed items were on the screen, many at once; told again they do not count again."""
        counted = sessions.note_seen(auth.me().user_id, body.impressions)
        return message("Impressions noted.", counted=counted)


@api.route("/get_comments/")
class GetComments(Resource):
    @gives(api, Comments, "Newest first.")
    @refuses(api, s400="invalid, invalid_cursor", s404="post_not_found")
    @signed_in
    @takes_query(CommentsBody)
    def get(self, query: CommentsBody) -> Response:
        """Comments of a post."""
        return json_response(social.comments(auth.me().user_id, query.video_id, query.cursor))

    @gives(api, Comments, "Newest first.")
    @refuses(api, s400="invalid, invalid_cursor", s404="post_not_found")
    @signed_in
    @takes(CommentsBody)
    def post(self, body: CommentsBody) -> Response:
        """Comments of a post (the phone app asks with POST)."""
        return json_response(social.comments(auth.me().user_id, body.video_id, body.cursor))


@api.route("/add_comment/")
class AddComment(Resource):
    @gives(api, Commented, "Added.")
    @refuses(api, s400="empty_comment, too_long", s404="post_not_found")
    @signed_in
    @takes(CommentBody)
    def post(self, body: CommentBody) -> Response:
        """Comment on a post."""
        comment = service.add_comment(auth.me().user_id, body.video_id, body.comment)
        return message("Comment added successfully.", id=comment.id)


@api.route("/delete_comment/")
class DeleteComment(Resource):
    @gives(api, Message, "Deleted.")
    @refuses(api, s404="comment_not_found")
    @signed_in
    @takes(CommentIdBody)
    def delete(self, body: CommentIdBody) -> Response:
        """Delete a comment of yours, or one under your post."""
        service.delete_comment(auth.me().user_id, body.comment_id)
        return message("Comment deleted successfully.")


@api.route("/update_posts_engagement/")
class UpdateEngagement(Resource):
    @gives(api, Counted, "Counted.")
    @refuses(api, s400="invalid", s404="post_not_found")
    @signed_in
    @takes(EngagementBody)
    def post(self, body: EngagementBody) -> Response:
        """Tell how a post was watched; a repeated report does not count twice."""
        user_id = auth.me().user_id
        engagement = {"commented": body.commented, "viewed_comments": body.viewed_comments}
        counted = service.record_view(user_id, body.video_id, body.watch_time, **engagement)
        if counted:
            feed.learn(user_id, body.video_id, watch_ms=counted, liked=body.liked, **engagement)
        sessions.note_watched(user_id, body.video_id)
        return message("Engagement updated successfully.", watch_time=counted / 1000)


@api.route("/share/")
class SharePost(Resource):
    @gives(api, Message, "Noted.")
    @refuses(api, s404="post_not_found")
    @signed_in
    @takes(ShareBody)
    def post(self, body: ShareBody) -> Response:
        """Note that you passed a post on."""
        user_id = auth.me().user_id
        if service.share(user_id, body.video_id):
            feed.learn(user_id, body.video_id, shared=True)
        return message("Video shared successfully.")


@api.route("/report_video/")
class ReportPost(Resource):
    @gives(api, Message, "Reported; reporting again changes nothing.", status=201)
    @refuses(api, s400="empty_reason, too_long, report_self", s404="post_not_found")
    @signed_in
    @takes(ReportBody)
    def post(self, body: ReportBody) -> Response:
        """Report a post to the moderators."""
        user_id = auth.me().user_id
        wishes.dismiss(user_id, body.video_id)  # first: this report may be the one that hides it
        if not moderation.report_post(user_id, body.video_id, body.reason):
            return message("You have already reported this video.")
        feed.learn(user_id, body.video_id, rejected=True)
        return message("Video reported successfully.", 201)


@api.route("/not_interested/")
class NotInterested(Resource):
    @gives(api, Message, "Noted, or taken back; the same again changes nothing.")
    @refuses(api, s400="invalid", s404="post_not_found")
    @signed_in
    @takes(NotInterestedBody)
    def post(self, body: NotInterestedBody) -> Response:
        """Say that a post is not for you: it is not shown to you again, and less of its kind is."""
        user_id = auth.me().user_id
        if body.undo:
            if wishes.take_back(user_id, body.video_id):
                feed.unlearn_rejection(user_id, body.video_id)
            return message("This video may be shown to you again.")
        if wishes.dismiss(user_id, body.video_id):
            feed.learn(user_id, body.video_id, rejected=True)
        return message("You will see less of this.")


@api.route("/reach/")
class ReachOfPost(Resource):
    @gives(api, Reach, "Where its audience came from, what came of it, and what limits it.")
    @refuses(api, s400="invalid", s404="post_not_found")
    @signed_in
    @takes_query(ReachQuery)
    def get(self, query: ReachQuery) -> Response:
        """How one of your posts does; moderators may ask about every post."""
        me = auth.me()
        staff = permits(me.role, Permission.MODERATE)
        return json_response(reach.reach(me.user_id, query.video_id, staff=staff))
