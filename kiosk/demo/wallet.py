"""The card wallet: a page where a click puts a software card on a reader and takes it away.

Cards and readers go by numbers in addresses and events: neither says whose card it is.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response, render_template, request, send_file
from flask_babel import gettext

from kiosk.demo.stage import Stage, StageError
from kiosk.errors import Malformed, PageError
from kiosk.web import Face, create_app

# A stream says something at least so often, so that one whose page has gone is noticed.
HEARTBEAT_S = 15.0


@dataclass(frozen=True, slots=True)
class Link:
    """A page beside this one."""

    name: str
    url: str


class NotDone(PageError):
    """The stage could not do what the page asked for."""

    code = "not_done"
    status = 409

    def __init__(self, error: StageError) -> None:
        where = "" if error.log is None else " " + gettext("Its log is %(log)s.", log=error.log)
        super().__init__(f"{error}.{where}")


def create_wallet(face: Face, stage: Stage, links: tuple[Link, ...]) -> Flask:
    """The application of the wallet's page over a running stage, with links to other pages."""
    blueprint = Blueprint("wallet", __name__)
    views = _Views(stage, links)
    for path, view in views.pages.items():
        blueprint.add_url_rule(path, view.__name__, view)
    for path, view in views.commands.items():
        blueprint.add_url_rule(path, view.__name__, view, methods=["POST"])
    return create_app(face, blueprint)


class _Views:
    """What the page shows and does, over one stage."""

    def __init__(self, stage: Stage, links: tuple[Link, ...]) -> None:
        self._stage, self._links = stage, links

    @property
    def pages(self) -> Mapping[str, Callable[..., Any]]:
        """What is asked for by GET."""
        return {
            "/": self.wallet,
            "/stage": self.stage,
            "/events": self.events,
            "/portraits/<int:card>": self.portrait,
        }

    @property
    def commands(self) -> Mapping[str, Callable[..., Any]]:
        """What is asked for by POST; each answers with what is where afterwards."""
        return {
            "/put": self.put,
            "/take": self.take,
            "/lost": self.lost,
            "/service/stop": self.stop_service,
            "/service/start": self.start_service,
        }

    def wallet(self) -> str:
        view = self._stage.view()
        data = {"version": view.version, "words": _words()}
        return render_template("wallet/wallet.html", view=view, links=self._links, page_data=data)

    def stage(self) -> Mapping[str, Any]:
        view = self._stage.view()
        return {"version": view.version, "html": render_template("wallet/stage.html", view=view)}

    def events(self) -> Response:
        return Response(_versions(self._stage), mimetype="text/event-stream")

    def portrait(self, card: int) -> Response:
        try:
            return send_file(self._stage.portrait(card), mimetype="image/jpeg")
        except StageError as error:
            raise NotDone(error) from error

    def put(self) -> Mapping[str, Any]:
        card, reader = _numbers("card", "reader")
        return self._done(lambda: self._stage.put(card, reader))

    def take(self) -> Mapping[str, Any]:
        [reader] = _numbers("reader")
        return self._done(lambda: self._stage.take(reader))

    def lost(self) -> Mapping[str, Any]:
        [card] = _numbers("card")
        return self._done(lambda: self._stage.report_lost(card))

    def stop_service(self) -> Mapping[str, Any]:
        return self._done(self._stage.stop_service)

    def start_service(self) -> Mapping[str, Any]:
        return self._done(self._stage.start_service)

    def _done(self, act: Callable[[], None]) -> Mapping[str, Any]:
        try:
            act()
        except StageError as error:
            raise NotDone(error) from error
        return self.stage()


def _numbers(*names: str) -> tuple[int, ...]:
    """The numbers that the request's JSON object holds, and nothing else. Raises Malformed."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict) or set(body) != set(names):
        raise Malformed
    # `type`, since True is an int, too.
    if any(type(body[name]) is not int for name in names):
        raise Malformed
    return tuple(body[name] for name in names)


def _versions(stage: Stage) -> Iterator[str]:
    """A stream of the stage's versions: what has changed, the page asks for."""
    seen = -1
    while (view := stage.wait(seen, HEARTBEAT_S)) is not None:
        if view.version == seen:
            yield ":\n\n"
            continue
        seen = view.version
        yield f"event: stage\ndata: {json.dumps({'version': seen})}\n\n"


def _words() -> Mapping[str, str]:
    """What the page's script says."""
    return {
        "no_answer": gettext("The demonstration does not answer. Is it still running?"),
        "gone": gettext("The demonstration has ended. Start it again and reload this page."),
    }
