"""Published heads beside the database: what it lacks, and what is another ledger's."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cardservice.api.fields import to_base64url
from cardservice.context import Context
from cardservice.ledger.closing.seals import Seal, seal_days
from cardservice.ledger.closing.sequencing import Calendar
from cardservice.ledger.payers import create_payer
from cardservice.ledger.posting import post
from cardservice.recovery import service as recovery
from cardservice.recovery.errors import HeadsDiffer, HeadsUnreadable
from cardservice.recovery.noticing import look, notice_loss
from pki.statements import open_tree_head, sign_tree_head
from tests.cardservice.ledger.postings import MOMENT, topup
from tests.cardservice.payments.pay import answering
from tests.support.council import StandingClock

LONDON = ZoneInfo("Europe/London")


@pytest.fixture
def seals(context: Context, clock: StandingClock) -> list[Seal]:
    """Three days with a top-up each."""
    made: list[Seal] = []
    for day in range(3):
        clock.moment = MOMENT + timedelta(days=day)
        with context.database.begin() as connection:
            payer = create_payer(connection, "person", "GBP", clock())
        post(context.database, [topup(payer, 0, 500)])
        clock.advance(days=1)
        made += seal_days(context.database, Calendar(LONDON, clock()), "ashcombe", context.keys)
    return made


def published(tmp_path: Path, *signed: bytes) -> str:
    """A file as `ledger heads` prints it."""
    path = tmp_path / "heads.json"
    path.write_text(json.dumps({"heads": [{"signed": to_base64url(each)} for each in signed]}))
    return str(path)


def test_all_are_there(context: Context, seals: list[Seal], tmp_path: Path) -> None:
    found = look(context, published(tmp_path, *(seal.signed for seal in seals)))
    assert (found.published, found.lost) == (len(seals), ())
    assert found.last is not None
    assert found.last.number == seals[-1].number


def test_later_heads_are_lost_and_known_to_be(context: Context, seals: list[Seal], tmp_path: Path) -> None:
    """Signed by this service and not in its database: a recovery begins by itself, and once."""
    last = open_tree_head(seals[-1].signed, context.keys.answer_key.public_key(), "ashcombe")
    later = replace(last, number=last.number + 1, day=last.day + timedelta(days=1), previous=last.digest)
    signed = sign_tree_head(later, context.keys.answer_key, context.keys.answer_certificate_sha256)
    source = published(tmp_path, seals[0].signed, signed)
    assert [head.number for head in look(context, source).lost] == [later.number]
    started = replace(context, settings=replace(context.settings, published_heads=source))
    notice_loss(started)
    notice_loss(started)
    with context.database.reading() as connection:
        state = recovery.state(connection)
    assert (state.recovery.number, [day.day for day in state.lost]) == (1, [later.day.isoformat()])
    recovery.finish(context, actor="test", anyway=True)
    assert look(context, source).lost == ()
    notice_loss(started)
    with context.database.reading() as connection:
        assert recovery.open_recovery(connection) is None


def test_another_ledger(context: Context, seals: list[Seal], tmp_path: Path) -> None:
    """The head of a number that the database has otherwise: nothing is served on it."""
    head = open_tree_head(seals[0].signed, context.keys.answer_key.public_key(), "ashcombe")
    other = replace(head, root=bytes(32))
    signed = sign_tree_head(other, context.keys.answer_key, context.keys.answer_certificate_sha256)
    source = published(tmp_path, signed)
    with pytest.raises(HeadsDiffer, match=f"head {head.number}"):
        look(context, source)
    started = replace(context, settings=replace(context.settings, published_heads=source))
    with pytest.raises(HeadsDiffer):
        notice_loss(started)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"heads": [{}]}', '{"heads": [{"signed": "AAAA"}]}', "[" * 9999]
)
def test_what_is_no_file_of_heads(context: Context, tmp_path: Path, content: str) -> None:
    path = tmp_path / "heads.json"
    path.write_text(content)
    with pytest.raises(HeadsUnreadable):
        look(context, str(path))


def test_a_file_must_be_there_and_an_address_may_be_away(context: Context, tmp_path: Path) -> None:
    missing = replace(context.settings, published_heads=str(tmp_path / "none"))
    with pytest.raises(HeadsUnreadable, match="cannot be read"):
        notice_loss(replace(context, settings=missing))
    # Nobody listens at port 1.
    away = replace(context.settings, published_heads="http://127.0.0.1:1/heads.json")
    notice_loss(replace(context, settings=away))
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}") as broken_off:
        notice_loss(replace(context, settings=replace(away, published_heads=f"{broken_off.url}/heads.json")))
