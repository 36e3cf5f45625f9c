"""`/auth`: registering, signing in and out, devices, password."""

from __future__ import annotations

from typing import ClassVar

from flask import Response
from flask_restx import Namespace, Resource
from pydantic import AliasChoices, BaseModel, Field

from popoff.accounts import queries, service
from popoff.blueprints.api.docs import Message, gives, refuses
from popoff.blueprints.api.economy.models import Person
from popoff.kernel.errors import Unauthenticated
from popoff.scoring import people
from popoff.web import auth, limits
from popoff.web.access import public, signed_in
from popoff.web.parsing import Input, sent_as_json, takes
from popoff.web.responses import json_response, message

api = Namespace("auth", path="/auth", description="Registering, signing in and out, devices.")


class RegisterBody(Input):
    username: str = Field(min_length=1, max_length=200, description="2 to 30 letters or digits, with . _ - between.")
    email: str = Field(min_length=1, max_length=320)
    password: str = Field(min_length=1, max_length=1000, description="8 to 256 characters.")
    phone_number: str = Field("", max_length=40, validation_alias=AliasChoices("phoneNumber", "phone_number"))


class LoginBody(Input):
    incomplete: ClassVar[str] = "Missing email or password"

    username: str = Field(
        min_length=1,
        max_length=320,
        validation_alias=AliasChoices("username", "email"),
        description="Username, or email address (also accepted under the name `email`).",
    )
    password: str = Field(min_length=1, max_length=1000)


class PasswordBody(Input):
    old_password: str = Field(min_length=1, max_length=1000)
    new_password: str = Field(min_length=1, max_length=1000)


class Registered(BaseModel):
    username: str
    email: str
    phone_number: str
    first_name: str
    last_name: str
    token: str = Field(description="64 hexadecimal digits; expires when unused for `TOKEN_DAYS` days.")


class Whose(BaseModel):
    username: str


class LoggedIn(Person):
    token: str


class DeviceModel(BaseModel):
    id: int
    device: str = Field(description="User agent at sign-in.")
    address: str
    created_at: str
    last_used_at: str
    expires_at: str
    current: bool


class Devices(BaseModel):
    devices: list[DeviceModel]


class InvalidCredentials(Unauthenticated):
    """Wrong address or password, as the creator economy's clients are told; it stays counted all the same."""

    keeps_changes = True


@api.route("/register/")
class Register(Resource):
    @api.doc(security=[])
    @gives(api, Registered, "Registered and signed in.", status=201)
    @refuses(
        api, s400="invalid, invalid_username, invalid_email, weak_password, account_exists", s429="too_many_requests"
    )
    @public
    @takes(RegisterBody)
    def post(self, body: RegisterBody) -> Response:
        """Register a person."""
        user = service.register(body.username, body.email, body.password, phone_number=body.phone_number)
        limits.check_signup()
        token = service.issue_token(user, auth.device())
        return json_response(
            {
                "username": user.username,
                "email": user.email,
                "phone_number": user.phone_number,
                "first_name": user.first_name,
                "last_name": user.last_name,
                "token": token,
            },
            201,
        )


@api.route("/login/")
class Login(Resource):
    @api.doc(security=[])
    @gives(api, LoggedIn, "Signed in.")
    @refuses(
        api,
        s400="wrong_credentials, account_suspended, invalid",
        s401="wrong_credentials, account_suspended",
        s429="login_throttled",
    )
    @public
    @takes(LoginBody)
    def post(self, body: LoginBody) -> Response:
        """Sign in; within the grace period of a deletion this brings the account back.

        Who sends `email` in JSON, as the creator economy's pages do, also gets the token in the header
        `Authorization` and in the cookie `X-Access-Token`, and is refused with 401 instead of 400.
        """
        by_email = sent_as_json("email") and not sent_as_json("username")
        try:
            user, token = service.login(body.username, body.password, auth.device())
        except service.LoginRefused as refused:
            if not by_email:
                raise
            text = "Invalid credentials" if refused.error_code == "wrong_credentials" else refused.text
            raise InvalidCredentials(text, code=refused.error_code) from refused
        answer = json_response({**people.own(user), "token": token})
        return auth.give_cookie(answer, token) if by_email else answer


@api.route("/check_token/")
class CheckToken(Resource):
    @gives(api, Whose, "The token works.")
    @refuses(api, s401="not_authenticated, invalid_token")
    @signed_in
    def get(self) -> Response:
        """Whose token this is."""
        return json_response({"username": auth.me().username})


@api.route("/logout/")
class Logout(Resource):
    takes_cookie: ClassVar[bool] = True

    @gives(api, Message, "Signed out.")
    @signed_in
    def get(self) -> Response:
        """Sign this device out."""
        return self._logout()

    @gives(api, Message, "Signed out.")
    @signed_in
    def post(self) -> Response:
        """Sign this device out."""
        return self._logout()

    def _logout(self) -> Response:
        service.sign_out(auth.me())
        return auth.take_cookie(message("Signed out."))


@api.route("/devices/")
class DeviceList(Resource):
    @gives(api, Devices, "Signed-in devices, the latest used first.")
    @signed_in
    def get(self) -> Response:
        """List one's signed-in devices."""
        me = auth.me()
        devices = [{**device, "current": device["id"] == me.token_id} for device in queries.devices(me.user_id)]
        return json_response({"devices": devices})

    @gives(api, Message, "Signed out everywhere else.")
    @signed_in
    def delete(self) -> Response:
        """Sign every other device out."""
        me = auth.me()
        service.revoke_all(me.user_id, keep_token_id=me.token_id)
        return message("Signed out everywhere else.")


@api.route("/devices/<int:device_id>/")
class DeviceItem(Resource):
    @gives(api, Message, "That device is signed out.")
    @refuses(api, s404="device_not_found")
    @signed_in
    def delete(self, device_id: int) -> Response:
        """Sign one device out."""
        service.revoke(auth.me().user_id, device_id)
        return message("That device is signed out.")


@api.route("/password/")
class Password(Resource):
    @gives(api, Message, "Changed; every other device is signed out.")
    @refuses(api, s400="wrong_credentials, weak_password", s429="login_throttled")
    @signed_in
    @takes(PasswordBody)
    def post(self, body: PasswordBody) -> Response:
        """Change one's password."""
        service.change_password(auth.me(), body.old_password, body.new_password, auth.device().address)
        return message("Password changed.")
