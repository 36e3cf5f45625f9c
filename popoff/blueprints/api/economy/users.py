"""`/auth/signup` and `/user`: joining by name and email, profiles."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from flask import Response, request
from flask_restx import Namespace, Resource
from pydantic import AliasChoices, Field, RootModel

from popoff.accounts import queries, service
from popoff.accounts.rules import Permission, Role, check_role, permits
from popoff.blueprints.api.docs import gives, refuses
from popoff.blueprints.api.economy.models import Person
from popoff.blueprints.api.economy.resource import EconomyResource, PageQuery, page
from popoff.kernel.errors import Forbidden
from popoff.scoring import people
from popoff.social import queries as social
from popoff.web import auth, limits
from popoff.web.access import needs, public, signed_in
from popoff.web.parsing import Input, takes, takes_query
from popoff.web.responses import json_response

signup = Namespace("signup", path="/auth", description="Joining by name and email.")
api = Namespace("users", path="/user", description="Profiles, under ids that tell no numbers.")


class NewcomerBody(Input):
    incomplete: ClassVar[str] = "Missing required fields"

    name: str = Field(min_length=1, max_length=1000, description="1 to 100 characters; need not be unique.")
    email: str = Field(min_length=1, max_length=320)
    password: str = Field(min_length=1, max_length=1000, description="8 to 256 characters.")


class SignupBody(NewcomerBody):
    role: str = Field(Role.CONSUMER.value.upper(), max_length=50, description="CONSUMER or CREATOR.")


class ProfileBody(Input):
    name: str | None = Field(None, max_length=1000)
    email: str | None = Field(None, max_length=320)
    password: str | None = Field(None, max_length=1000, description="The new one; signs other devices out.")
    current_password: str | None = Field(
        None,
        max_length=1000,
        validation_alias=AliasChoices("currentPassword", "current_password", "old_password"),
        description="Needed to change email or password.",
    )


class SignedUp(Person):
    token: str = Field(description="Also in the header `Authorization` and, for JSON, the cookie `X-Access-Token`.")


class People(RootModel[list[Person]]):
    """The newest first."""


def _join(body: NewcomerBody, role: Role) -> Any:
    user = service.sign_up(body.name, body.email, body.password, role)
    limits.check_signup()
    return user


@signup.route("/signup/")
class Signup(Resource):
    @signup.doc(security=[])
    @gives(signup, SignedUp, "Joined and signed in.", status=201)
    @refuses(
        signup,
        s400="invalid, invalid_name, invalid_email, invalid_role, weak_password, account_exists",
        s429="too_many_requests",
    )
    @public
    @takes(SignupBody)
    def post(self, body: SignupBody) -> Response:
        """Join as a consumer or a creator. The cookie comes with JSON only: a form may be another site's."""
        user = _join(body, check_role(body.role))
        token = service.issue_token(user, auth.device())
        answer = json_response({**people.own(user), "token": token}, 201)
        return auth.give_cookie(answer, token) if request.is_json else answer


@api.route("/")
class UserList(EconomyResource):
    @gives(api, People, "Everybody, the newest first; `X-Next-Cursor` leads on.")
    @refuses(api, s400="invalid, invalid_cursor", s403="forbidden")
    @needs(Permission.ADMINISTER)
    @takes_query(PageQuery)
    def get(self, query: PageQuery) -> Response:
        """Everybody (admins only), without anybody's money."""
        users, next_cursor = queries.page(query.cursor, query.limit)
        return page(people.accounts(users), next_cursor)

    @api.doc(security=[])
    @gives(api, Person, "Joined.", status=201)
    @refuses(api, s400="invalid, invalid_name, invalid_email, weak_password, account_exists", s429="too_many_requests")
    @public
    @takes(NewcomerBody)
    def post(self, body: NewcomerBody) -> Response:
        """Join as a creator, without signing in."""
        return json_response(people.own(_join(body, Role.CREATOR)), 201)


@api.route("/<uuid:user_id>/")
class UserItem(EconomyResource):
    @gives(api, Person, "Yourself with your wallet; others as everybody may see them.")
    @refuses(api, s404="user_not_found")
    @signed_in
    def get(self, user_id: UUID) -> Response:
        """A person."""
        me = auth.me()
        user = queries.by_public_id(user_id)
        if user is not None and user.id == me.user_id:
            return json_response(people.own(user))
        if user is not None and permits(me.role, Permission.ADMINISTER):
            return json_response(people.accounts([user])[0])
        return json_response(people.profiles([social.reachable_person(me.user_id, user_id)])[0])

    @gives(api, Person, "Yourself as you are now.")
    @refuses(
        api,
        s400="invalid, invalid_name, invalid_email, weak_password, account_exists, password_required, "
        "wrong_credentials",
        s403="forbidden, cross_site_request",
        s404="user_not_found",
        s429="login_throttled",
    )
    @signed_in
    @takes(ProfileBody)
    def put(self, body: ProfileBody, user_id: UUID) -> Response:
        """Change your name, email or password. Nothing else of a person can be set."""
        me = auth.me()
        user = queries.by_public_id(user_id)
        if user is None or user.id != me.user_id:
            social.reachable_person(me.user_id, user_id)
            raise Forbidden("Access denied")
        changed = service.edit_profile(
            me,
            auth.device().address,
            name=body.name,
            email=body.email,
            new_password=body.password,
            password=body.current_password,
        )
        return json_response(people.own(changed))
