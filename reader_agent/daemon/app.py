"""The Flask application over a running daemon."""

from flask import Flask, Response

from reader_agent.daemon import problems, security
from reader_agent.daemon.runtime import Runtime
from reader_agent.daemon.settings import MAX_BODY_BYTES
from reader_agent.daemon.views import EXTENSION, blueprint


def create_app(runtime: Runtime, token: str) -> Flask:
    """The application; the caller starts and stops the runtime."""
    app = Flask("reader_agent.daemon", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.extensions[EXTENSION] = runtime
    problems.register(app)
    security.protect(app, runtime.settings, token)
    app.register_blueprint(blueprint)

    @app.after_request
    def keep_private(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app
