"""Many people at once: one statement a table, however many they are."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from cardservice.audit.service import record_all
from cardservice.bulk import insert_many
from cardservice.cardholders.models import cardholder, cardholder_token, record_field
from cardservice.cardholders.records import findable
from cardservice.cardholders.sealing import Field, RecordKey
from cardservice.cardholders.tokens import tokens_of
from cardservice.ids import CardholderId
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.payers import create_own_payers
from cardservice.ledger.privacy import make_keys


def add_cardholders(
    connection: Connection,
    people: Mapping[CardholderId, Mapping[Field, Any]],
    category: str,
    currency: str,
    kek: KeyRing,
    *,
    actor: str,
    moment: datetime,
) -> None:
    """Register people whose fields were checked; each pays for themself, as who is added alone."""
    if not people:
        return
    version = kek.latest()
    rows = [
        {"id": holder, "category": category, "created_at": moment, "index_version": version}
        for holder in people
    ]
    insert_many(connection, cardholder, rows)
    create_own_payers(connection, people, currency, moment)
    keys = make_keys(connection, kek, people, moment)
    fields: list[dict[str, Any]] = []
    tokens: list[dict[str, Any]] = []
    for holder, values in people.items():
        key = RecordKey(keys[holder], holder)
        fields += [
            {"cardholder_id": holder, "field": field, "sealed": key.seal(field, value), "changed_at": moment}
            for field, value in values.items()
            if value is not None
        ]
        own = tokens_of(kek.key(version), findable(values))
        tokens += [{"token": token, "cardholder_id": holder} for token in own]
    insert_many(connection, record_field, fields)
    insert_many(connection, cardholder_token, sorted(tokens, key=lambda row: row["token"]))
    record_all(connection, actor, "cardholder.add", people, moment, category=category)
