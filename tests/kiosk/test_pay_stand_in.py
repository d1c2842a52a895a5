"""The stand-in for a payment provider answers as the provider's published OpenAPI document says."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from kiosk.pay_stand_in import Pay, create_app

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "govuk-pay" / "publicapi_spec.json"
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


def _examined(examples: int) -> int:
    """Ask for every operation of the document so often; how many operations there are."""
    if not PUBLISHED.exists():
        pytest.skip(f"{PUBLISHED} is not here: it is the provider's document, and no part of this repository")
    pay = Pay()
    made = pay.create({"amount": 100, "reference": "r", "description": "d", "return_url": "u"}, None)
    pay.move(made.id, "success")
    pay.refund(made, 30)
    pay.dispute(made.id)
    schema = schemathesis.openapi.from_dict(json.loads(PUBLISHED.read_text(encoding="utf-8")))
    schema.app = create_app(pay)
    operations: list[Any] = [cast("Any", result).ok() for result in schema.get_all_operations()]
    for operation in operations:

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answers(case: Any) -> None:
            for payment in (made.id, "another"):
                if "paymentId" in (case.path_parameters or {}):
                    case.path_parameters["paymentId"] = payment
                response = case.call(headers={"Authorization": f"Bearer {pay.key}"})
                case.validate_response(response, checks=CHECKS)

        answers()
    return len(operations)


def test_it_answers_as_the_published_document_says() -> None:
    """Every operation, with what the document allows to be asked."""
    assert _examined(3) == 16


@pytest.mark.long
def test_it_answers_as_the_published_document_says_whatever_is_asked() -> None:
    """The same, a hundred times as often."""
    assert _examined(500) == 16
