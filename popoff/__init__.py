"""PopOff: the short-video backend that people can own. `create_app` puts its parts together."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def create_app() -> Flask:
    """The web application from `config.current()`. Raises config.SettingError when a setting is missing."""
    from flask_migrate import Migrate
    from flask_wtf import CSRFProtect

    import config
    from popoff.blueprints import api, pay, site, store
    from popoff.kernel.db import db
    from popoff.web import application, auth, errors

    app = application.PopOff("popoff")
    _connect(app)
    app.config.update(
        SESSION_COOKIE_NAME="popoff_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=config.current().production,
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        MAX_CONTENT_LENGTH=application.API_BODY_BYTES,
        RESTX_MASK_SWAGGER=False,
        RESTX_ERROR_404_HELP=False,
    )
    app.url_map.strict_slashes = False
    Migrate(app, db, directory=str(config.PROJECT / "migrations"))
    CSRFProtect(app).exempt(api.blueprint)
    app.extensions["csrf"].exempt(store.blueprint)
    app.session_interface = auth.PageSessions()
    # Templates read g.principal: asking for the person again would need the database on error pages too.
    auth.login_manager.init_app(app, add_context_processor=False)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(store.blueprint)
    app.register_blueprint(site.blueprint)
    app.register_blueprint(pay.blueprint)
    errors.install(app)
    application.install(app)

    return app


def create_worker_app() -> Flask:
    """What workers need of the application: settings, logs and the database, no pages. Raises config.SettingError."""
    from flask import Flask

    app = Flask("popoff")
    _connect(app)
    return app


def _connect(app: Flask) -> None:
    import config
    from popoff import schema  # noqa: F401 - mappers must know every table, whoever uses the application
    from popoff.kernel import db, logs
    from popoff.kernel.secrets import kept_secret

    settings = config.current()
    if not settings.secret_key:
        settings = replace(settings, secret_key=kept_secret(settings.home / "secret.key"))
        config.use(settings)
    logs.configure(json=settings.production, level=settings.log_level)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=config.database_url(settings),
        SQLALCHEMY_ENGINE_OPTIONS=db.engine_options(settings.database_pool),
    )
    db.db.init_app(app)
