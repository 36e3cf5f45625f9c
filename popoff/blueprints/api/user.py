"""`/user`: follows, blocks, mutes, search, preferences, leaving, export."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response
from flask_restx import Namespace, Resource
from pydantic import AliasChoices, BaseModel, Field, RootModel

from popoff.accounts import queries as accounts
from popoff.accounts import service as account_service
from popoff.blueprints.api.docs import Message, gives, refuses
from popoff.feed import categories, sessions, wishes
from popoff.feed import queries as feed
from popoff.feed import service as feed_service
from popoff.feed.words import WORD_LENGTH
from popoff.integrity import queries as integrity
from popoff.kernel.errors import Invalid
from popoff.media import queries as media
from popoff.moderation import queries as moderation
from popoff.rewards import balances as rewards
from popoff.social import queries as social
from popoff.social import service as social_service
from popoff.web import auth
from popoff.web.access import signed_in
from popoff.web.parsing import Input, takes, takes_query
from popoff.web.responses import json_response, message

api = Namespace("user", path="/user", description="Follows, blocks, mutes, search, preferences, one's own data.")


class FollowBody(Input):
    username: str = Field(min_length=1, max_length=100)
    follow: bool | None = Field(None, description="Set the state; without it the call toggles.")


class UsernameBody(Input):
    username: str = Field(min_length=1, max_length=100)


class WordBody(Input):
    word: str = Field(
        min_length=1, max_length=1000, description=f"A word or a phrase of 1 to {WORD_LENGTH} characters, # or not."
    )


class SearchQuery(Input):
    query: str = Field("", max_length=100, description="Part of a name.")


class PageQuery(Input):
    cursor: str | None = Field(None, max_length=500, description="`next_cursor` of the page before.")


class TopicsBody(Input):
    topics: list[Annotated[str, Field(max_length=200)]] = Field(
        max_length=20, validation_alias=AliasChoices("topics[]", "topics"), description="Labels of topics, or names."
    )


class DeleteBody(Input):
    password: str | None = Field(None, max_length=1000, description="When sent, it must be right.")


class Followed(Message):
    is_following: bool = Field(description="Whether you follow them now.")


class Account(BaseModel):
    username: str
    num_followers: int
    total_likes: int = Field(description="Likes of all their posts.")
    total_posts: int
    is_following: bool = Field(description="Whether you follow them.")


class Accounts(BaseModel):
    accounts: list[Account]
    next_cursor: str | None = None


class Name(BaseModel):
    username: str


class Names(BaseModel):
    accounts: list[Name]


class MutedWordModel(BaseModel):
    word: str = Field(description="In lower case, without #.")
    muted_at: str


class MutedCreatorModel(BaseModel):
    username: str
    muted_at: str


class Mutes(BaseModel):
    words: list[MutedWordModel]
    creators: list[MutedCreatorModel]


class Shares(RootModel[dict[str, float]]):
    """Category to share, 0 to 1, summing to 1."""


class Topic(BaseModel):
    label: str
    name: str = Field(description="The label as people see it.")


class Topics(BaseModel):
    topics: list[Topic]


class Everything(BaseModel):
    account: dict[str, Any] = Field(description="Name, addresses, role, signed-in devices.")
    posts: list[dict[str, Any]] = Field(description="With a link to each source, good for a day.")
    activity: dict[str, list[dict[str, Any]]] = Field(
        description="Likes, shares, comments, views, follows, followers, blocks."
    )
    interests: dict[str, float] = Field(description="What the feed has learnt: category to share.")
    wishes: dict[str, list[dict[str, Any]]] = Field(
        description="Posts you are not interested in, words and creators you muted."
    )
    impressions: list[dict[str, Any]] = Field(description="What the feed showed you in the last 90 days, and why.")
    reports: list[dict[str, Any]] = Field(description="Reports you filed, and what came of them.")
    money: dict[str, Any] = Field(description="Gifts, statements, payouts, payments, bank account.")
    fraud_reports: list[dict[str, Any]] = Field(description="Suspicions you reported, and what came of them.")


@api.route("/add_follower/")
class AddFollower(Resource):
    @gives(api, Followed, "Follows, or does not any more.", status=201)
    @refuses(api, s400="follow_self", s404="user_not_found")
    @signed_in
    @takes(FollowBody)
    def post(self, body: FollowBody) -> Response:
        """Follow or unfollow somebody (toggles, unless `follow` is sent)."""
        follows = social_service.follow(auth.me().user_id, body.username, body.follow)
        return message("Now following user." if follows else "User unfollowed successfully.", 201, is_following=follows)


@api.route("/get_followers/")
class Following(Resource):
    @gives(api, Accounts, "The people you follow, the latest first.")
    @refuses(api, s400="invalid_cursor")
    @signed_in
    @takes_query(PageQuery)
    def get(self, query: PageQuery) -> Response:
        """The people you follow (the name is the phone app's)."""
        return json_response(social.following(auth.me().user_id, query.cursor))


@api.route("/search/")
class Search(Resource):
    @gives(api, Accounts, "People whose name holds the text.")
    @refuses(api, s400="query_required")
    @signed_in
    @takes_query(SearchQuery)
    def get(self, query: SearchQuery) -> Response:
        """Search people by name."""
        if not query.query.strip():
            raise Invalid("Query parameter is required", code="query_required")
        return json_response({"accounts": social.search(auth.me().user_id, query.query)})


@api.route("/block_user/")
class BlockUser(Resource):
    @gives(api, Message, "Blocked.", status=201)
    @gives(api, Message, "Was blocked already.")
    @refuses(api, s400="block_self", s404="user_not_found")
    @signed_in
    @takes(UsernameBody)
    def post(self, body: UsernameBody) -> Response:
        """Block somebody: you no longer see one another anywhere."""
        if social_service.block(auth.me().user_id, body.username):
            return message("User blocked successfully.", 201)
        return message("User already blocked.")


@api.route("/unblock_user/")
class UnblockUser(Resource):
    @gives(api, Message, "Unblocked, or was not blocked.")
    @refuses(api, s404="user_not_found")
    @signed_in
    @takes(UsernameBody)
    def post(self, body: UsernameBody) -> Response:
        """Lift a block."""
        lifted = social_service.unblock(auth.me().user_id, body.username)
        return message("User unblocked successfully." if lifted else "User was not blocked.")


@api.route("/get_blocked/")
class Blocked(Resource):
    @gives(api, Names, "The people you have blocked.")
    @signed_in
    def get(self) -> Response:
        """The people you have blocked."""
        return json_response({"accounts": social.blocked_accounts(auth.me().user_id)})


@api.route("/mutes/")
class MutesOfMine(Resource):
    @gives(api, Mutes, "The latest first.")
    @signed_in
    def get(self) -> Response:
        """The words and creators that your feed leaves out."""
        return json_response(wishes.mutes(auth.me().user_id))


@api.route("/mute_word/")
class MuteWord(Resource):
    @gives(api, Message, "Muted; the same again changes nothing.")
    @refuses(api, s400="invalid, invalid_word", s409="too_many_words")
    @signed_in
    @takes(WordBody)
    def post(self, body: WordBody) -> Response:
        """Leave posts out of your feed that have this word, or these words in a row, in caption or tags."""
        added = wishes.mute_word(auth.me().user_id, body.word)
        return message("Word muted successfully." if added else "Word already muted.")


@api.route("/unmute_word/")
class UnmuteWord(Resource):
    @gives(api, Message, "Unmuted, or was not muted.")
    @refuses(api, s400="invalid, invalid_word")
    @signed_in
    @takes(WordBody)
    def post(self, body: WordBody) -> Response:
        """Let posts with this word into your feed again."""
        lifted = wishes.unmute_word(auth.me().user_id, body.word)
        return message("Word unmuted successfully." if lifted else "Word was not muted.")


@api.route("/mute_creator/")
class MuteCreator(Resource):
    @gives(api, Message, "Muted; the same again changes nothing.")
    @refuses(api, s400="invalid, mute_self", s404="user_not_found")
    @signed_in
    @takes(UsernameBody)
    def post(self, body: UsernameBody) -> Response:
        """Leave somebody's posts out of your feed, and change nothing else between you; they are not told."""
        added = wishes.mute_creator(auth.me().user_id, body.username)
        return message("User muted successfully." if added else "User already muted.")


@api.route("/unmute_creator/")
class UnmuteCreator(Resource):
    @gives(api, Message, "Unmuted, or was not muted.")
    @refuses(api, s400="invalid", s404="user_not_found")
    @signed_in
    @takes(UsernameBody)
    def post(self, body: UsernameBody) -> Response:
        """Let somebody's posts into your feed again."""
        lifted = wishes.unmute_creator(auth.me().user_id, body.username)
        return message("User unmuted successfully." if lifted else "User was not muted.")


@api.route("/get_preferences/")
class Preferences(Resource):
    @gives(api, Shares, "Category to share, the largest first; empty without history.")
    @signed_in
    def get(self) -> Response:
        """What the feed has learnt about you."""
        return json_response(feed.preferences(auth.me().user_id))


@api.route("/topics/")
class TopicsOfPosts(Resource):
    @gives(api, Topics, "What posts are about.")
    @signed_in
    def get(self) -> Response:
        """The topics that a newcomer may choose from."""
        labels = [label for label in categories.CATEGORIES if label != categories.OTHER]
        return json_response({"topics": [{"label": label, "name": categories.short_name(label)} for label in labels]})

    @gives(api, Shares, "Category to share, the largest first.")
    @refuses(api, s400="invalid, unknown_topic")
    @signed_in
    @takes(TopicsBody)
    def post(self, body: TopicsBody) -> Response:
        """Say what you like: the feed begins with it, and goes by what you do from then on."""
        user_id = auth.me().user_id
        feed_service.choose_topics(user_id, body.topics)
        return json_response(feed.preferences(user_id))


@api.route("/reset_user_engagement/")
class ResetEngagement(Resource):
    @gives(api, Message, "Forgotten.")
    @signed_in
    def post(self) -> Response:
        """Delete your likes, comments and watching history, and what the feed has shown you and learnt; mutes stay."""
        user_id = auth.me().user_id
        social_service.forget_engagement(user_id)
        feed_service.reset(user_id)
        sessions.forget(user_id)
        return message("Engagement reset successfully.")


@api.route("/delete_account/")
class DeleteAccount(Resource):
    @gives(api, Message, "Hidden and signed out now, removed after the grace period.")
    @refuses(api, s400="wrong_credentials", s429="login_throttled")
    @signed_in
    @takes(DeleteBody)
    def delete(self, body: DeleteBody) -> Response:
        """Delete your account. Signing in again within the grace period brings it back."""
        account_service.request_deletion(auth.me(), body.password, auth.device().address)
        return message("Account deleted successfully.")


@api.route("/export/")
class Export(Resource):
    @gives(api, Everything, "Everything PopOff holds about you.")
    @signed_in
    def get(self) -> Response:
        """Take your data with you."""
        user_id = auth.me().user_id
        return json_response(
            {
                "account": accounts.export(user_id),
                "posts": media.export(user_id),
                "activity": social.export(user_id),
                "interests": feed.preferences(user_id),
                "wishes": wishes.export(user_id),
                "impressions": sessions.export(user_id),
                "reports": moderation.export(user_id),
                "money": rewards.export(user_id),
                "fraud_reports": integrity.export(user_id),
            }
        )
