"""Filling a ledger in SQL, as a restored dump is: the rows first, then indexes and keys, which check all.

Triggers are off meanwhile, so what they keep is looked for afterwards; constraints on a row hold throughout.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from cardservice.ids import CardId
from tests.benchmarks.server import BenchmarkFailed, administrator_url

CURRENCY = "GBP"
OPENING_MINOR = 1_000_000
# As many as the machine has processors: an INSERT is one process's work.
PARTS = 2
Say = Callable[[str], None]
_MEMORY = "SET maintenance_work_mem = '512MB'"

# A primary key keeps the name that the migrations gave it.
_KEYS = """
    SELECT c.conname, c.conrelid::regclass::text, pg_get_constraintdef(c.oid) FROM pg_constraint AS c
    WHERE c.conrelid = ANY (%s::regclass[]) AND c.contype IN ('p', 'u', 'f')
        OR c.confrelid = ANY (%s::regclass[]) AND c.contype = 'f'
    ORDER BY CASE c.contype WHEN 'p' THEN 0 WHEN 'u' THEN 1 ELSE 2 END, c.conname
"""
_INDEXES = """
    SELECT i.indexname, i.indexdef FROM pg_indexes AS i
    WHERE i.tablename = ANY (%s) AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conname = i.indexname)
"""


@dataclass(slots=True)
class Filling:
    """A ledger without indexes and triggers, for a while; says how far it has come."""

    url: str
    say: Say
    values: Mapping[str, object]
    begun: float = field(default_factory=time.monotonic)

    def run(self, statement: str) -> None:
        """One statement, in a transaction of its own."""
        with self._connected() as connection:
            # A statement with values is one; without, it can be several.
            connection.execute(statement, self.values if "%(" in statement else None)

    def insert(self, statement: str) -> None:
        """A statement of the rows whose place leaves `part` by `parts`: for each part, side by side."""

        def of(part: int) -> None:
            with self._connected() as connection:
                connection.execute(statement, {**self.values, "part": part, "parts": PARTS})

        with ThreadPoolExecutor(PARTS) as pool:
            list(pool.map(of, range(PARTS)))

    def told(self, step: str) -> None:
        """Say that a step is done."""
        self.say(f"{step} after {time.monotonic() - self.begun:,.0f} s")

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.url) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute("SET synchronous_commit = off")
            yield connection


@contextmanager
def filling(
    owner_url: str, tables: Sequence[str], say: Say, values: Mapping[str, object]
) -> Iterator[Filling]:
    """These tables without indexes and keys, until the block ends; making them checks all rows."""
    url = administrator_url(owner_url)
    with psycopg.connect(url) as connection:
        keys = connection.execute(_KEYS, (list(tables), list(tables))).fetchall()
        indexes = connection.execute(_INDEXES, (list(tables),)).fetchall()
        for name, table, _ in reversed(keys):
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
    filled = Filling(url, say, values)
    yield filled
    with psycopg.connect(url) as connection:
        connection.execute(_MEMORY)
        for _, definition in indexes:
            connection.execute(definition)
        for name, table, definition in keys:
            later = " NOT VALID" if definition.startswith("FOREIGN KEY") else ""
            connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}{later}")
    filled.told("indexes and primary keys")

    def validate(key: tuple[str, str, str]) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(_MEMORY)
            connection.execute(f"ALTER TABLE {key[1]} VALIDATE CONSTRAINT {key[0]}")

    with ThreadPoolExecutor(PARTS) as pool:
        list(pool.map(validate, (key for key in keys if key[2].startswith("FOREIGN KEY"))))
    filled.told("foreign keys")


def vacuum(owner_url: str) -> None:
    """What a server does by itself to a ledger that grows: before anything is measured on it."""
    with psycopg.connect(administrator_url(owner_url), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def fill_payers(
    owner_url: str, payers: int, *, spent_minor: int = 0, keep: int | None = None, say: Say = lambda _: None
) -> list[CardId]:
    """So many payers with money and a card each, in a ledger that is there; the cards of all, or of `keep`.

    `spent_minor`: what each has spent of what they paid in. What says so the caller adds, and then vacuums.
    """
    values = {"payers": payers, "unit": CURRENCY, "amount": OPENING_MINOR - spent_minor}
    with filling(owner_url, _TABLES, say, values) as ledger:
        ledger.run(_NUMBERED)
        ledger.insert(_FILLING)
        for statement in _FILL:
            ledger.insert(statement)
        ledger.told(f"{payers:,} payers")
    with psycopg.connect(administrator_url(owner_url)) as connection:
        for fault, query in _NONE_OF.items():
            if connection.execute(f"{query} LIMIT 1").fetchone() is not None:
                raise BenchmarkFailed(f"the ledger was filled wrongly: {fault}")
        rows = connection.execute("SELECT card FROM bench.filling ORDER BY md5(card::text) LIMIT %s", (keep,))
        return [CardId(card) for (card,) in rows]


_TABLES = (
    *("payer", "payer_state", "account", "cardholder", "cardholder_payer", "cardholder_key"),
    *("card", "card_state", "certificate"),
)
# UUIDv7 (RFC 9562, 5.7): the moment in milliseconds, and what is drawn.
_NEW = """
    (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
        || overlay(substr(md5(random()::text || place), 1, 19) PLACING '8' FROM 4 FOR 1))::uuid
"""
# Who was filled in last; for what is filled in after them, too.
_NUMBERED = """
    CREATE SCHEMA IF NOT EXISTS bench;
    DROP TABLE IF EXISTS bench.filling;
    CREATE UNLOGGED TABLE bench.filling (place bigint, payer uuid, top_up uuid, holder uuid, card uuid)
"""
_FILLING = f"""
    INSERT INTO bench.filling SELECT place, {_NEW}, {_NEW}, {_NEW}, {_NEW}
    FROM generate_series(%(part)s, %(payers)s - 1, %(parts)s) AS place
"""  # noqa: S608 - our own words
_OF_PART = "FROM bench.filling WHERE place %% %(parts)s = %(part)s"
_FILL = (
    f"INSERT INTO payer (id, kind, created_at) SELECT payer, 'person', now() {_OF_PART}",
    f"INSERT INTO payer_state (payer_id) SELECT payer {_OF_PART}",
    f"""
    INSERT INTO account (payer_id, kind, unit, balance, floor)
    SELECT payer, 'prepaid', %(unit)s, %(amount)s, 0 {_OF_PART}
    """,
    f"INSERT INTO account (payer_id, kind, unit) SELECT payer, 'arrears', %(unit)s {_OF_PART}",
    f"INSERT INTO cardholder (id, category, created_at) SELECT holder, 'adult', now() {_OF_PART}",
    f"""
    INSERT INTO cardholder_payer (cardholder_id, payer_id, valid_from, recorded_at)
    SELECT holder, payer, now(), now() {_OF_PART}
    """,
    f"""
    INSERT INTO cardholder_key (id, cardholder_id, kek_version, wrapped, created_at)
    SELECT gen_random_uuid(), holder, 1, decode(repeat('00', 60), 'hex'), now() {_OF_PART}
    """,
    f"""
    INSERT INTO card (id, cardholder_id, kind, state, expires_on, created_at)
    SELECT card, holder, 'citizen', 'active', now() + interval '5 years', now() {_OF_PART}
    """,
    # A card becomes active by way of its order.
    *(
        f"""
    INSERT INTO card_state (card_id, valid_from, recorded_at, state, reason, actor)
    SELECT card, now(), now(), '{state}', 'issued', 'bench' {_OF_PART}
    """
        for state in ("ordered", "active")
    ),
    f"""
    INSERT INTO certificate (authority, serial, profile, identity, der, sha256, not_before, not_after,
        issued_at, issuer)
    SELECT 'cards', replace(card::text, '-', ''), 'card-authentication', card::text,
        decode(repeat('00', 600), 'hex'), sha256(card::text::bytea), now(), now() + interval '5 years',
        now(), 'cards' {_OF_PART}
    """,
)
# What the triggers that were off would have kept
_NONE_OF = {
    "a card's state is the latest of its history": """
        SELECT FROM card JOIN LATERAL (
            SELECT state FROM card_state WHERE card_id = card.id ORDER BY valid_from DESC, id DESC LIMIT 1
        ) AS latest ON latest.state <> card.state
    """,
    "a card has no history": """
        SELECT FROM card WHERE NOT EXISTS (SELECT FROM card_state WHERE card_id = card.id)
    """,
    "a payer has no two accounts": """
        SELECT FROM payer_state AS p LEFT JOIN account AS a USING (payer_id)
        GROUP BY payer_id HAVING count(*) < 2
    """,
}
