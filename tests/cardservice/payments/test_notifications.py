"""What a payment provider sends: signed or refused, and no more than a reason to ask."""

import hmac
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cardservice.api.app import create_app
from cardservice.context import Context
from cardservice.ids import TransactionId, new_id
from cardservice.payments.attempts import Start, due, start
from kiosk.pay_stand_in import Pay
from tests.cardservice.payments.pay import RETURN_URL, served
from tests.support.council import Council

SECRET = b"a secret of the tests"
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def client(context: Context, tmp_path: Path) -> FlaskClient:
    """The service, told the secret."""
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    settings = replace(context.settings, pay_secret_file=tmp_path / "secret")
    return create_app(replace(context, settings=settings)).test_client()


def sent(client: FlaskClient, message: Any, secret: bytes = SECRET) -> int:
    """The status of a message."""
    body = json.dumps(message).encode()
    signature = hmac.digest(secret, body, "sha256").hex()
    return client.post("/notifications/payments", data=body, headers={"Pay-Signature": signature}).status_code


def test_a_notification_makes_the_worker_ask(context: Context, council: Council, client: FlaskClient) -> None:
    """Whatever it claims, nothing but the time of the next question changes."""
    card, pay = council.card(), Pay()
    with served(pay) as provider:
        wanted = Start(card.holder, 500, TransactionId(new_id()), RETURN_URL)
        attempt, _ = start(context, provider, wanted, actor="test")
    message = {
        "resource_type": "payment",
        "resource_id": attempt.provider_payment,
        "event_type": "card_payment_captured",
        "resource": {"state": {"status": "success"}, "amount": 10**6},
    }

    def waiting() -> list[TransactionId]:
        with context.database.reading() as connection:
            return due(connection, context.now(), 10)

    assert sent(client, message, b"another secret") == 401
    assert client.post("/notifications/payments", data=b"{}").status_code == 401
    assert waiting() == []
    for _ in range(2):
        assert sent(client, message) == 204
    assert waiting() == [attempt.id]
    assert council.balances(card.payer) == (0, 0)
    odd: Any
    for odd in ([], "x", {"resource_type": "payment"}, {"resource_type": ["payment"], "resource_id": 1}):
        assert sent(client, odd) == 204
    assert context.now() - attempt.begun_at < timedelta(minutes=1)


def test_without_a_secret_nothing_is_taken(council: Council) -> None:
    """Also not what is signed with an empty one."""
    assert sent(council.client, {}, b"\0") == 401
