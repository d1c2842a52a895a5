"""What is kept of people is erased when its time is over, class by class, and nothing else is."""

from datetime import date

import pytest
from sqlalchemy import func, select

from cardservice.applications.eligibility import Ages
from cardservice.applications.models import application, proof
from cardservice.applications.proofs import note_proof
from cardservice.applications.service import Deciding, apply_for, refuse
from cardservice.audit import chain
from cardservice.audit.models import audit
from cardservice.audit.service import record
from cardservice.cardholders.accesses import note_reads
from cardservice.cardholders.details import Noting, set_born_on, set_consent
from cardservice.cardholders.guardians import Days, May, add_guardian, guardians_of
from cardservice.cardholders.models import record_read
from cardservice.cardholders.records import read_fields
from cardservice.cardholders.retention import (
    DORMANT,
    READ_LOG,
    RECORD_DAYS,
    dormant,
    erase_records,
    survey_records,
)
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.ids import CardholderId
from tests.support.council import ACTOR, Council


def add(council: Council, name: str) -> CardholderId:
    """Somebody with a record and nothing else."""
    with council.context.database.begin() as connection:
        new = NewCardholder(name, "adult")
        return add_cardholder(connection, new, "GBP", council.kek, actor=ACTOR, moment=council.clock())[0]


@pytest.fixture
def ava(council: Council) -> CardholderId:
    """A child of whom there is something of each class."""
    ava, kim = add(council, "Ava Reed"), add(council, "Kim Reed")
    moment = council.clock()
    with council.context.database.begin() as connection:
        noting = Noting(council.kek, ava, ACTOR, moment, council.zone)
        set_born_on(connection, noting, date(2010, 6, 20))
        add_guardian(connection, noting, kim, "parent", frozenset(May), Days(moment.date()), 16)
        by = Deciding(council.kek, Ages(5, 16), ACTOR, moment, council.zone)
        refuse(connection, by, apply_for(connection, noting, "young-citizen"), "lives elsewhere")
        apply_for(connection, noting, "citizen")
        for reference in ("passport 1", "passport 2"):
            note_proof(connection, noting, "identity", reference, None)
        set_consent(connection, noting, "notices", "2026-1", given=True)
        set_consent(connection, noting, "research", "2026-1", given=True)
        set_consent(connection, noting, "research", given=False)
        set_consent(connection, noting, "notices", "2026-2", given=True)
        note_reads(connection, [ava], "kitchen.recall", actor=ACTOR, moment=moment)
        record(connection, ACTOR, "cardholder.show", ava, moment)
    chain.lengthen(council.context.database, None)
    return ava


def due(council: Council) -> dict[str, int]:
    """What is over now, by class."""
    with council.context.database.reading() as connection:
        found = survey_records(council.context, connection, RECORD_DAYS, council.clock())
    return {each.record_class: each.due for each in found if each.due}


def test_each_class_has_its_time(council: Council, ava: CardholderId) -> None:
    """What stands stays; of what is over nothing is left, and running it again finds nothing."""
    council.clock.advance(days=364)
    assert due(council) == {}
    council.clock.advance(days=10)
    # The refusal and the passport of before; the guardianship ended with the child's sixteenth birthday.
    assert due(council) == {"applications": 1, "proofs": 1, "guardianships": 1}
    council.clock.advance(days=730)
    everything = {"applications": 1, "proofs": 1, "guardianships": 1, "consents": 3, READ_LOG: 2}
    assert due(council) == everything
    context, moment = council.context, council.clock()
    with context.database.reading() as connection:
        over = survey_records(context, connection, RECORD_DAYS, moment)
    erased = {
        each.record_class: erase_records(context, each, moment, actor=ACTOR)
        for each in over
        if each.record_class != DORMANT and each.due
    }
    assert erased == everything
    # Nothing binds the guardian to anybody now; the child waits for a card.
    assert due(council) == {DORMANT: 1}
    with context.database.begin() as connection:
        [kim] = dormant(connection, RECORD_DAYS[DORMANT], moment)
        assert kim != ava
        assert connection.scalars(select(application.c.state)).all() == ["open"]
        assert connection.execute(select(func.count()).select_from(proof)).scalar_one() == 1
        assert guardians_of(connection, council.kek, ava) == ()
        assert connection.execute(select(func.count()).select_from(record_read)).scalar_one() == 0
        consents = read_fields(connection, council.kek, ava, [Field.CONSENTS])[Field.CONSENTS]
        assert {name: (said["given"], said.get("before")) for name, said in consents.items()} == {
            "notices": (True, None)
        }
        noted = connection.execute(select(audit.c.action, audit.c.subject, audit.c.detail)).all()
    shown = [row.subject for row in noted if row.action == "cardholder.show"]
    assert all(subject.startswith("erased:") for subject in shown)
    assert {row.subject: row.detail for row in noted if row.action == "retention.erase"} == {
        name: {"records": 1 if name == READ_LOG else count} for name, count in erased.items()
    }
    with context.database.reading() as connection:
        verified = chain.verify(connection)
    assert (verified.findings, verified.erased) == ((), 1)
