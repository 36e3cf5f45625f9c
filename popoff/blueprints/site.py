"""Pages for everybody: landing, sign-in, health."""

from __future__ import annotations

import re

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length, Regexp

from popoff.accounts import service
from popoff.feed import service as feed
from popoff.kernel.addresses import is_near
from popoff.kernel.errors import DomainError, NotFound
from popoff.web import auth, health, metrics
from popoff.web.access import public
from popoff.web.errors import headers_of, status_of
from popoff.web.responses import json_response

blueprint = Blueprint("site", __name__)

CLIPS = 12
NO_NUL = Regexp(r"[^\0]*\Z", message="This holds a character that cannot be stored.")


class LoginForm(FlaskForm):
    username = StringField("Username or email", [InputRequired(), Length(max=320), NO_NUL])
    password = PasswordField("Password", [InputRequired(), Length(max=1000), NO_NUL])


@blueprint.route("/")
@public
def home() -> str:
    """What this is and how it is doing; for those who are signed in, the first page of their feed."""
    clips = feed.page(g.principal.user_id, CLIPS) if g.principal else []
    return render_template("home.html", parts=health.readiness(), clips=clips)


@blueprint.route("/login", methods=["GET", "POST"])
@public
def login() -> Response | str | tuple[str, int, dict[str, str]]:
    """Sign in on a page; afterwards to where one was sent from, or to the start."""
    form = LoginForm()
    if not form.validate_on_submit():
        return render_template("login.html", form=form)
    try:
        _, secret = service.login(form.username.data, form.password.data, auth.device())
    except DomainError as refused:
        page = render_template("login.html", form=form, problem=refused.text)
        return page, status_of(refused), headers_of(refused)
    auth.open_session(secret)
    return redirect(_own_page(request.args.get("next", "")))  # type: ignore[return-value]


def _own_page(path: str) -> str:
    """`path` if it is one of this site's; a link to our sign-in page must not lead elsewhere."""
    return path if re.match(r"/[\w-]", path) else url_for("site.home")


@blueprint.route("/logout", methods=["POST"])
@public
def logout() -> Response:
    """Sign the browser out."""
    auth.close_session()
    return redirect(url_for("site.home"))  # type: ignore[return-value]


@blueprint.route("/healthz")
@public
def healthz() -> Response:
    return json_response({"status": "ok"})


@blueprint.route("/readyz")
@public
def readyz() -> Response:
    parts = health.readiness()
    ready = all(state == "ok" for state in parts.values())
    return json_response({"ready": ready, **parts}, 200 if ready else 503)


@blueprint.route("/metrics")
@public
def metrics_page() -> Response:
    """For a Prometheus on this machine or its private network; to the rest of the world there is no such page."""
    if not is_near(request.remote_addr or ""):
        raise NotFound
    return Response(metrics.render(), mimetype="text/plain; version=0.0.4")
