"""What staff ask of the service as schemathesis asks it: with a session, and something to ask for."""

import re

from flask import Flask

from cardservice.api.openapi import STAFF_ALONE
from cardservice.staff.functions import SIGN_IN_ROUTES

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
