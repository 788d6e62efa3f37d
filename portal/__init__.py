"""The portal: a responsible person confirms the contacts that IZKT has on record."""

import os

import structlog
from flask import Flask

from portal import access, config, cookie, flood, language, metrics, pages, telemetry, watching
from portal.database import db
from portal.recovery.questions import catalogue
from portal.routes import BLUEPRINTS, inbox
from portal.templating import InEachLanguage

log = structlog.get_logger()


def create_app(settings: config.Settings | None = None) -> Flask:
    """The application, with the given settings or those of the environment.

    Raises config.BadSettingError. Settings are those of the process: the last application that
    was created decides.
    """
    config.use(settings or config.load(os.environ))
    if config.settings.weakened:
        log.warning("weakened as PORTAL_ALLOW says", by=config.settings.weakened)
    metrics.share(config.settings.metrics_folder)
    telemetry.begin()
    catalogue()  # a file of questions that cannot be read stops the start, too
    app = Flask(__name__)
    app.jinja_environment = InEachLanguage
    app.config.update(
        SECRET_KEY=config.settings.secret_key,
        SECRET_KEY_FALLBACKS=list(config.settings.secret_key_fallbacks),
        MAX_CONTENT_LENGTH=64 * 1024,
        WTF_CSRF_TIME_LIMIT=None,  # a token lives as long as its session
    )
    # Else `//` is answered by a redirect, which is no page of ours and says the token once more.
    app.url_map.merge_slashes = False
    db.use(config.settings.database_url)
    flood.counts.use(config.settings)
    watching.init_app(app)
    language.init_app(app)
    cookie.init_app(app)
    pages.init_app(app)
    access.init_app(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    if config.settings.has_inbox:
        app.register_blueprint(inbox.bp)
    return app
