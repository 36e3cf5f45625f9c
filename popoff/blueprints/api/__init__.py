"""The JSON API: one RESTX namespace for each route group, described at `/api/docs`."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template
from flask_restx import Api, Resource
from pydantic import BaseModel, Field

from popoff.blueprints.api import auth, experiments, media, post, user
from popoff.blueprints.api.docs import complete, gives
from popoff.blueprints.api.economy import audit, content, fraud, gifts, payouts, rewards, users, wallet
from popoff.web.access import public
from popoff.web.responses import json_response

blueprint = Blueprint("api", __name__, url_prefix="/api")


class DocumentedApi(Api):
    """RESTX for routing and description only: errors go to the application's one table."""

    def error_router(self, original_handler: Any, error: Exception) -> Any:
        return original_handler(error)

    @property
    def __schema__(self) -> dict[str, Any]:
        """The description that `/api/swagger.json` serves."""
        return complete(super().__schema__, self.models)

    def _register_doc(self, app_or_blueprint: Any) -> None:
        """The docs page is a route of ours, see below."""


api = DocumentedApi(
    blueprint,
    title="PopOff",
    version="1",
    description=(
        "The API of the phone app. Send `Authorization: Token <token>` (or `Bearer`). Bodies may be multipart "
        "forms, urlencoded forms or JSON. Paths work with and without the trailing slash. Lengths are "
        "milliseconds unless a field says seconds; times are RFC 3339, UTC."
    ),
    doc=False,
    authorizations={
        "token": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token ` followed by the token that login gave.",
        }
    },
    security="token",
    default="platform",
    default_label="What this is.",
)

for namespace in (auth.api, users.signup, media.api, post.api, user.api, users.api, content.api, experiments.api):
    api.add_namespace(namespace)
for namespace in (gifts.api, rewards.api, wallet.api, wallet.providers, payouts.api, audit.api, fraud.api):
    api.add_namespace(namespace)


class Platform(BaseModel):
    name: str
    version: str = Field(description="Of the API.")
    docs: str = Field(description="Path of the documentation.")


@api.route("/")
class Root(Resource):
    @api.doc(security=[])
    @gives(api, Platform, "What this is.")
    @public
    def get(self) -> Response:
        """Name and version of the platform."""
        return json_response({"name": "PopOff", "version": api.version, "docs": "/api/docs"})


DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@blueprint.route("/docs")
@public
def docs() -> Response:
    """Swagger UI. Its own style sheets are written into the page by its script, hence the wider policy."""
    page = Response(render_template("api_docs.html"), mimetype="text/html")
    page.headers["Content-Security-Policy"] = DOCS_POLICY
    return page
