"""Pages for everybody: landing, sign-in, health."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, session, url_for
from flask_login import current_user, login_user, logout_user
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from popoff.accounts import service
from popoff.feed import service as feed
from popoff.kernel.errors import DomainError
from popoff.web import auth, health, metrics
from popoff.web.access import public
from popoff.web.responses import json_response

blueprint = Blueprint("site", __name__)

CLIPS = 12


class LoginForm(FlaskForm):
    username = StringField("Username or email", [InputRequired(), Length(max=320)])
    password = PasswordField("Password", [InputRequired(), Length(max=1000)])


@blueprint.route("/")
@public
def home() -> str:
    """What this is and how it is doing; for those who are signed in, the first page of their feed."""
    clips = feed.page(auth.me().user_id, CLIPS) if current_user.is_authenticated else []
    return render_template("home.html", parts=health.readiness(), clips=clips)


@blueprint.route("/login", methods=["GET", "POST"])
@public
def login() -> Response | str | tuple[str, int]:
    """Sign in on a page; the session is a new one, so that none can be planted beforehand."""
    form = LoginForm()
    if not form.validate_on_submit():
        return render_template("login.html", form=form)
    try:
        user = service.check_login(form.username.data, form.password.data, auth.device().address)
    except DomainError as refused:
        return render_template("login.html", form=form, problem=refused.text), 400
    session.clear()
    login_user(auth.BrowserUser(service.Principal(user.id, user.username, user.role, token_id=0)))
    return redirect(url_for("site.home"))  # type: ignore[return-value]


@blueprint.route("/logout", methods=["POST"])
@public
def logout() -> Response:
    logout_user()
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
    return Response(metrics.render(), mimetype="text/plain; version=0.0.4")
