"""What is read without a schema is what the schema would have read, and everything else is left to it."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from cardservice.authorisation.bodies import bulk_body, message_body
from cardservice.authorisation.schemas import AuthorisationRequestSchema, BulkRequestSchema


def _wire(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
# Most of what is drawn is right; what is not is near it.
BASE64 = st.binary(max_size=20).map(_wire) | st.text("AQgwZ9_-+/=", max_size=8)
STATEMENT = BASE64 | st.just("A" * 8192) | st.just(_wire(bytes(4096))) | st.just(_wire(bytes(4097))) | JSON
SALT = st.binary(min_size=16, max_size=16).map(_wire) | BASE64 | JSON
MANY = st.just({f"n{number}": number for number in range(64)}) | st.just(dict.fromkeys(map(str, range(65))))
DETAILS = st.dictionaries(st.text(max_size=4), JSON, max_size=3) | MANY | JSON
SALE = st.fixed_dictionaries(
    {"statement": STATEMENT, "details": DETAILS, "details_salt": SALT}, optional={"more": JSON}
)
BODY = SALE | st.fixed_dictionaries({}, optional={"statement": STATEMENT, "annul": JSON}) | JSON
RIGHT = st.fixed_dictionaries(
    {
        "statement": st.binary(max_size=20).map(_wire),
        "details": st.dictionaries(st.text(max_size=4), JSON, max_size=3),
        "details_salt": st.binary(min_size=16, max_size=16).map(_wire),
    }
)
BULK = st.fixed_dictionaries({"messages": st.lists(RIGHT, max_size=3) | st.lists(BODY, max_size=3)}) | JSON


def _by(schema: Schema, document: Any) -> Any:
    try:
        return schema.load(document)
    except ValidationError as error:
        return error.messages_dict


@given(BODY | RIGHT)
def test_a_message(document: Any) -> None:
    try:
        found = message_body(document)
    except ValidationError as error:
        found = error.messages_dict
    assert found == _by(AuthorisationRequestSchema(), document)


@given(BULK)
def test_several(document: Any) -> None:
    try:
        found = bulk_body(document)
    except ValidationError as error:
        found = error.messages_dict
    assert found == _by(BulkRequestSchema(), document)


def test_no_schema_is_asked_for_an_ordinary_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Schema, "load", lambda *_: pytest.fail("a schema was asked"))
    sale = {"statement": _wire(b"x"), "details": {"a": 1}, "details_salt": _wire(bytes(16))}
    body = {"statement": b"x", "details": {"a": 1}, "details_salt": bytes(16)}
    assert message_body(sale) == body
    assert bulk_body({"messages": [sale] * 200}) == {"messages": [body] * 200}


@pytest.mark.parametrize("count", [0, 201])
def test_too_many_are_refused_as_by_the_schema(count: int) -> None:
    sale = {"statement": _wire(b"x"), "details": {}, "details_salt": _wire(bytes(16))}
    with pytest.raises(ValidationError):
        bulk_body({"messages": [sale] * count})
