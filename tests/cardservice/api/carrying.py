"""What is for staff alone, asked by somebody who has signed in."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask

from cardservice.api.openapi import STAFF_ALONE
from cardservice.staff.functions import SIGN_IN_ROUTES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PARAMETER = re.compile(r"<(?:[^>:]+:)?([^>]+)>")


def of_staff(app: Flask) -> set[str]:
    """The operations that are for staff alone, those of signing in among them."""
    rules = [
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if getattr(app.view_functions[rule.endpoint], STAFF_ALONE, False)
        or (method, rule.rule) in SIGN_IN_ROUTES
    ]
    return {f"{method} {_PARAMETER.sub(lambda found: f'{{{found[1]}}}', rule)}" for method, rule in rules}


@dataclass(slots=True)
class Carrying:
    """The service, asked by somebody who has signed in (PEP 3333); who says otherwise is let."""

    service: "WSGIApplication"
    token: str | None

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Add the token, and pass it on."""
        environ.setdefault("HTTP_AUTHORIZATION", f"Bearer {self.token}")
        return self.service(environ, start_response)
