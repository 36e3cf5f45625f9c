"""`/media`: uploads, posts, the feed, profiles."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from flask import Response
from flask_restx import Namespace, Resource
from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from popoff.blueprints.api.docs import Message, gives, refuses
from popoff.feed import service as feed
from popoff.feed import sessions
from popoff.media import queries, service
from popoff.media.rules import MAX_PACKAGE_FILES, PART_BYTES
from popoff.social import queries as social
from popoff.web import auth
from popoff.web.access import signed_in
from popoff.web.parsing import Id, Input, takes, takes_query
from popoff.web.responses import json_response, message

api = Namespace("media", path="/media", description="Uploads, posts, the feed, profiles.")

MAX_BATCH = 50
MAX_EXCLUDED = 2000


class FeedQuery(Input):
    batch_size: int = Field(5, ge=1, le=MAX_BATCH, description="Posts wanted.")
    exclude_ids: Annotated[list[Id], BeforeValidator(lambda ids: ids[-MAX_EXCLUDED:])] = Field(
        default_factory=list,
        validation_alias=AliasChoices("exclude_ids[]", "exclude_ids"),
        description="Posts the app shows already; of very many, the last 2000 count.",
    )
    followers_only: bool = Field(False, description="Only people you follow.")
    cursor: str | None = Field(None, max_length=500, description="`next_cursor` of the page before: nothing repeats.")


class ProfileQuery(Input):
    username: str = Field("", max_length=100, description="Empty: yourself.")


class SingleBody(Input):
    file_name: str = Field(min_length=1, max_length=500, validation_alias=AliasChoices("fileName", "file_name"))
    file_type: str = Field(max_length=100, validation_alias=AliasChoices("fileType", "file_type"))
    file_size: int | None = Field(None, ge=1, description="Bytes; when told, the link takes exactly so many.")


class PackageBody(Input):
    base_name: str = Field("", max_length=500, description="A label; it names nothing in the store.")
    files: list[Annotated[str, Field(max_length=200)]] = Field(
        min_length=1,
        max_length=MAX_PACKAGE_FILES + 1,
        validation_alias=AliasChoices("files[]", "files"),
        description="One .m3u8 playlist and its .ts segments.",
    )
    type: str = Field("application/x-mpegURL", max_length=100)


class MultipartBody(Input):
    file_name: str = Field(min_length=1, max_length=500)
    file_type: str = Field(max_length=100)
    file_size: int = Field(ge=1, description="Bytes.")


class PartsBody(Input):
    parts: list[int] = Field(
        min_length=1, max_length=1000, validation_alias=AliasChoices("parts[]", "parts"), description="Numbers from 1."
    )


class PostBody(Input):
    file_path: str = Field(min_length=1, max_length=1000)
    thumbnail_path: str = Field("", max_length=1000)
    description: str = Field("", max_length=100_000, description="At most 2200 characters.")
    tags: str = Field("", max_length=10_000, description="Separated by commas.")


class EditBody(Input):
    description: str | None = Field(None, max_length=100_000)
    tags: str | None = Field(None, max_length=10_000)


class OwnPostsQuery(Input):
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


class VideoBody(Input):
    video_id: Id


class Card(BaseModel):
    id: int
    user: str
    link: str = Field(description="HLS master playlist.")
    thumbnail_link: str
    description: str
    tags: list[str]
    likes: int
    comments: int
    views: int
    liked: bool
    duration: int = Field(description="Milliseconds.")
    length: int = Field(description="Milliseconds, as `duration`.")
    width: int
    height: int
    file_path: str
    thumbnail_path: str
    file_size: int = Field(description="Bytes of the source.")
    created_at: str
    interest_score: float = Field(description="0 to 100: how near to your interests.")


class FeedCard(Card):
    rank_score: float = Field(description="What the feed sorts by; higher is better.")
    reason: str = Field(description="Why you see it.")
    impression: str = Field(description="This place of this page: send it to `/post/impressions` when it was seen.")


class Feed(BaseModel):
    feed: list[FeedCard] = Field(description="Fewer than asked for: nothing more is left.")
    exhausted: bool = Field(description="Nothing more is left for you now; the feed does not repeat.")
    next_cursor: str = Field(description="Where the session goes on.")


class Profile(BaseModel):
    username: str
    total_likes: int
    total_followers: int
    total_posts: int
    is_following: bool
    posts: list[Card]


class SingleTicket(BaseModel):
    video_url: str = Field(description="PUT the source here, with the type you named.")
    video_file_path: str
    thumb_url: str = Field(description="PUT a picture here, as image/jpeg.")
    thumb_file_path: str


class PackageTicket(BaseModel):
    upload_urls: dict[str, str] = Field(
        description="File name to link. Playlist as application/x-mpegURL, segments as video/MP2T."
    )
    video_file_path: str
    thumb_url: str
    thumb_file_path: str


class MultipartTicket(BaseModel):
    upload_id: str
    part_size: int = Field(description="Bytes of every part but the last.")
    parts: int
    file_path: str
    thumb_url: str = Field(description="PUT a picture here, as image/jpeg.")
    thumb_file_path: str


class ReceivedPart(BaseModel):
    number: int
    size: int


class ReceivedParts(BaseModel):
    parts: list[ReceivedPart]


class PartLinks(BaseModel):
    urls: dict[str, str] = Field(description="Part number to link.")


class FilePath(BaseModel):
    file_path: str


class Posted(BaseModel):
    message: str
    id: int
    stage: str


class Status(BaseModel):
    id: int
    stage: str = Field(description="received, probing, transcoding, ready or failed.")
    progress: int = Field(description="Percent.")
    failure_code: str | None
    failure: str | None = Field(description="The reason as a sentence.")
    playable: bool
    visibility: str = Field(description="public, hidden (until reviewed) or removed.")
    link: str
    thumbnail_link: str
    preview_link: str = Field(description="A strip of frames.")
    width: int | None
    height: int | None
    duration: int | None
    renditions: list[dict[str, object]]
    description: str
    tags: list[str]
    created_at: str


class Statuses(BaseModel):
    posts: list[Status]
    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.")


@api.route("/get_feed/")
class GetFeed(Resource):
    @gives(api, Feed, "The next posts.")
    @refuses(api, s400="invalid, invalid_cursor")
    @signed_in
    @takes_query(FeedQuery)
    def get(self, query: FeedQuery) -> Response:
        """The next posts for you: of a new session, or after a cursor."""
        page = sessions.next_page(
            auth.me().user_id,
            query.batch_size,
            cursor=query.cursor,
            exclude=query.exclude_ids,
            following_only=query.followers_only,
        )
        return json_response(page)


@api.route("/get_user_posts/")
class UserPosts(Resource):
    @gives(api, Profile, "A person and their posts, the newest first.")
    @refuses(api, s404="user_not_found")
    @signed_in
    @takes_query(ProfileQuery)
    def get(self, query: ProfileQuery) -> Response:
        """A profile with its posts."""
        viewer = auth.me().user_id
        shown = social.profile(viewer, query.username)
        scores = feed.interest_scores(viewer, [card["id"] for card in shown["posts"]])
        for card in shown["posts"]:
            card["interest_score"] = scores.get(card["id"], 0.0)
        return json_response(shown)


@api.route("/upload/")
class UploadSingle(Resource):
    @gives(api, SingleTicket, "Links for one source file and its thumbnail.")
    @refuses(api, s400="unsupported_type, invalid_size", s429="too_many_uploads", s503="unavailable")
    @signed_in
    @takes(SingleBody)
    def post(self, body: SingleBody) -> Response:
        """Begin the upload of one file."""
        ticket = service.begin_single(auth.me().user_id, body.file_name, body.file_type, body.file_size)
        return json_response(
            {
                "video_url": next(iter(ticket.puts.values())).url,
                "video_file_path": ticket.source_key,
                "thumb_url": ticket.thumbnail_put.url,
                "thumb_file_path": ticket.thumbnail_key,
            }
        )


@api.route("/upload_hls/")
class UploadPackage(Resource):
    @gives(api, PackageTicket, "A link for every file.")
    @refuses(api, s400="invalid_package, unsupported_type", s429="too_many_uploads", s503="unavailable")
    @signed_in
    @takes(PackageBody)
    def post(self, body: PackageBody) -> Response:
        """Begin the upload of a ready HLS package."""
        ticket = service.begin_package(auth.me().user_id, body.files, body.type)
        return json_response(
            {
                "upload_urls": {label: put.url for label, put in ticket.puts.items()},
                "video_file_path": ticket.source_key,
                "thumb_url": ticket.thumbnail_put.url,
                "thumb_file_path": ticket.thumbnail_key,
            }
        )


@api.route("/uploads/")
class Multipart(Resource):
    @gives(api, MultipartTicket, "Begun.", status=201)
    @refuses(api, s400="unsupported_type, invalid_size", s429="too_many_uploads", s503="unavailable")
    @signed_in
    @takes(MultipartBody)
    def post(self, body: MultipartBody) -> Response:
        """Begin a resumable upload of a large file."""
        ticket = service.begin_multipart(auth.me().user_id, body.file_name, body.file_type, body.file_size)
        return json_response(
            {
                "upload_id": ticket.upload_id,
                "part_size": PART_BYTES,
                "parts": ticket.parts,
                "file_path": ticket.source_key,
                "thumb_url": ticket.thumbnail_put.url,
                "thumb_file_path": ticket.thumbnail_key,
            },
            201,
        )


@api.route("/uploads/<uuid:upload_id>/")
class MultipartItem(Resource):
    @gives(api, ReceivedParts, "Where to go on.")
    @refuses(api, s404="upload_not_found", s409="upload_not_open")
    @signed_in
    def get(self, upload_id: UUID) -> Response:
        """The parts that have arrived."""
        return json_response({"parts": service.received_parts(auth.me().user_id, str(upload_id))})

    @gives(api, Message, "Forgotten.")
    @refuses(api, s404="upload_not_found", s409="upload_claimed")
    @signed_in
    def delete(self, upload_id: UUID) -> Response:
        """Give an upload up."""
        service.give_up_upload(auth.me().user_id, str(upload_id))
        return message("Upload given up.")


@api.route("/uploads/<uuid:upload_id>/parts/")
class MultipartParts(Resource):
    @gives(api, PartLinks, "A link for every part asked for.")
    @refuses(api, s400="invalid_part", s404="upload_not_found", s409="upload_not_open")
    @signed_in
    @takes(PartsBody)
    def post(self, body: PartsBody, upload_id: UUID) -> Response:
        """Links to PUT parts to."""
        puts = service.sign_parts(auth.me().user_id, str(upload_id), body.parts)
        return json_response({"urls": {str(number): put.url for number, put in puts.items()}})


@api.route("/uploads/<uuid:upload_id>/complete/")
class MultipartComplete(Resource):
    @gives(api, FilePath, "Joined; post it with this path.")
    @refuses(api, s400="upload_incomplete", s404="upload_not_found", s409="upload_not_open")
    @signed_in
    def post(self, upload_id: UUID) -> Response:
        """Join the parts."""
        return json_response({"file_path": service.complete_multipart(auth.me().user_id, str(upload_id))})


@api.route("/post/")
class Posts(Resource):
    @gives(api, Posted, "Accepted; the pipeline takes over.", status=201)
    @refuses(
        api, s400="unknown_file, upload_incomplete, too_long, invalid_tags", s413="file_too_large", s503="unavailable"
    )
    @signed_in
    @takes(PostBody)
    def post(self, body: PostBody) -> Response:
        """Post an upload. Posting the same upload again gives the same post."""
        post = service.create_post(auth.me().user_id, body.file_path, body.thumbnail_path, body.description, body.tags)
        return message("Video posted successfully.", 201, id=post.id, stage=post.stage)

    @gives(api, Statuses, "Your posts in every stage, the newest first.")
    @refuses(api, s400="invalid_cursor")
    @signed_in
    @takes_query(OwnPostsQuery)
    def get(self, query: OwnPostsQuery) -> Response:
        """Your own posts with their stage."""
        return json_response(queries.of_owner(auth.me().user_id, query.cursor))


@api.route("/post/<int:video_id>/")
class PostItem(Resource):
    @gives(api, Status, "How far it is.")
    @refuses(api, s404="post_not_found")
    @signed_in
    def get(self, video_id: int) -> Response:
        """Stage, percentage and reason of one of your posts."""
        return json_response(queries.status(queries.owned(auth.me().user_id, video_id)))

    @gives(api, Status, "Changed.")
    @refuses(api, s400="too_long, invalid_tags", s404="post_not_found")
    @signed_in
    @takes(EditBody)
    def patch(self, body: EditBody, video_id: int) -> Response:
        """Change the caption of one of your posts."""
        post = service.edit_post(auth.me().user_id, video_id, body.description, body.tags)
        return json_response(queries.status(post))


@api.route("/delete_post/")
class DeletePost(Resource):
    @gives(api, Message, "Gone; its files follow.")
    @refuses(api, s400="invalid", s404="post_not_found")
    @signed_in
    @takes(VideoBody)
    def delete(self, body: VideoBody) -> Response:
        """Delete one of your posts and everything made from it."""
        service.delete_post(auth.me().user_id, body.video_id)
        return message("Video deleted successfully.")
