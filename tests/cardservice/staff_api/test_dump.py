"""A dump of the database, as `pg_dump` writes it, has nothing of a person in clear, wherever it was noted."""

import base64
import re
import subprocess
from datetime import date
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image
from sqlalchemy import insert

from cardservice.api.fields import to_base64url
from cardservice.audit.models import audit
from cardservice.bureau.letters import write_letters
from cardservice.cardholders import details
from cardservice.cardholders.details import Address, Contact, Noting
from cardservice.cardholders.guardians import Days, May, add_guardian, bar
from cardservice.cardholders.service import set_photo
from cardservice.cards import personalisation
from cardservice.ids import CardholderId
from cardservice.staff.roles import Role
from tests.cardservice.bureau.test_bureau import Bureau, batch_of, bureau, done, parsed
from tests.cardservice.staff_api.conftest import Come
from tests.cardservice.staff_api.test_people import made, seen
from tests.support.council import ACTOR, Council
from tests.support.databases import DatabaseUrls

__all__ = ["bureau"]
pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)

# Long enough that nothing has them by chance, in any writing of bytes.
SURNAME, GUARDIAN = "Featherstonehaugh", "Bartholomew Cholmondeley"
BORN = date(2017, 11, 23)
SECRETS = (
    *(SURNAME, GUARDIAN, "Old Embankment Terrace", "Kirkby Ravensworth-on-Sea", "QX37 9ZW", "100062345917"),
    *("w.feather@embankment.example", "+441632960017", BORN.isoformat(), "Form Kestrel 9B", "molluscs"),
    *("Tenancy at Embankment Lettings", "moved to Ravensworth meanwhile", "Family Court at Kirkby 17/2026"),
    *("a picture of Wilhelmina", "Kestrel class 9C"),
)


def writings(secret: str) -> set[str]:
    """In clear, and as bytes are written: as hexadecimal, and in base64 wherever it begins."""
    raw = secret.encode()
    found = {secret.casefold(), raw.hex()}
    for lead in range(3) if len(raw) > 12 else ():
        text = base64.b64encode(b"x" * lead + raw).decode().rstrip("=")
        # Without the characters that neighbours have a part in.
        whole = text[4 if lead else 0 : len(text) - 2]
        found |= {whole.casefold(), whole.replace("+", "-").replace("/", "_").casefold()}
    return found


def in_clear(urls: DatabaseUrls, *secrets: str) -> set[str]:
    """Which of these a dump has."""
    done = subprocess.run(["pg_dump", urls.owner], check=True, capture_output=True)
    dump = done.stdout.decode("utf-8").casefold()
    assert "copy public.record_field" in dump
    return {secret for secret in secrets if any(each in dump for each in writings(secret))}


def test_a_dump_names_nobody(
    council: Council, bureau: Bureau, come: Come, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    """Records, guardians, applications, imports, bureaux, letters, what staff sent, and their sessions."""
    issuer, moment = come("ida", Role.ISSUER), council.clock()
    child = made(issuer, f"Wilhelmina {SURNAME}")
    holder = CardholderId(_id(child))
    guardian = CardholderId(_id(made(issuer, GUARDIAN)))
    _, tag = seen(issuer, child)
    change = {"born_on": BORN.isoformat(), "form": "Form Kestrel 9B", "allergens": ["molluscs"]}
    assert issuer.post(f"{child}/changes", change, If_Match=tag).status == 200
    with council.context.database.begin() as connection:
        noting = Noting(council.kek, holder, ACTOR, moment, council.zone)
        where = Address(
            uprn="100062345917",
            paon="7",
            street="Old Embankment Terrace",
            town="Kirkby Ravensworth-on-Sea",
            postcode="QX37 9ZW",
        )
        details.set_address(connection, noting, where)
        contact = Contact(email="w.feather@embankment.example", telephone="+441632960017")
        details.set_contact(connection, noting, contact)
        set_photo(connection, council.kek, holder, _photo(), actor=ACTOR, moment=moment)
        add_guardian(connection, noting, guardian, "parent", {May.SEE}, Days(moment.date()), 16)
        other = CardholderId(_id(made(issuer)))
        bar(connection, noting, other, "Family Court at Kirkby 17/2026", Days(moment.date()))
        personalisation.order_card(
            connection, holder, "citizen", delivery=personalisation.Delivery.POST, actor=ACTOR, moment=moment
        )
    assert issuer.post("/v1/cardholders/search", {"name": SURNAME, "born_on": BORN.isoformat()}).status == 200
    proof = {"kind": "identity", "reference": "Tenancy at Embankment Lettings"}
    assert issuer.post(f"{child}/proofs", proof, Idempotency_Key="proof-of-identity").status == 200
    body = {"kind": "citizen", "name": f"Winifred {SURNAME}"}
    applied = issuer.post("/v1/applications", body, Idempotency_Key="application-1").json
    refusal = {"reason": "moved to Ravensworth meanwhile"}
    assert issuer.post(f"/v1/applications/{applied['application']}/refusal", refusal).status == 200
    for form in ("4B", "Kestrel class 9C"):
        roll = f"number,name,born_on,form\n1,Wolfgang {SURNAME},2016-04-30,{form}\n"
        sent = {"school": "ashcombe-primary", "content": to_base64url(roll.encode())}
        assert issuer.post("/v1/pupil-imports", sent).status == 200
    batch = batch_of(council)
    told = parsed(bureau.order_file(batch))
    bureau.take(bureau.results(batch, bureau.requests(told)))
    bureau.take(bureau.results(batch, done(bureau.certificates(batch))))
    assert write_letters(council.context, batch, tmp_path / "letters", actor=ACTOR).written == 1
    letter = (tmp_path / "letters").read_text("utf-8")
    code = re.search(r"^    (\w{4}-\w{4})$", letter, re.MULTILINE)
    assert SURNAME in letter
    assert code is not None

    hidden = (*SECRETS, str(issuer.token), str(code.group(1)))
    assert in_clear(database_urls, *hidden) == set()
    # What stands there in clear is found.
    with council.context.database.begin() as connection:
        noted = {"at": moment, "actor": GUARDIAN, "action": "test", "subject": "test", "detail": {}}
        connection.execute(insert(audit).values(**noted))
    assert in_clear(database_urls, *hidden) == {GUARDIAN}


def _photo() -> bytes:
    """A JPEG that says what it is in a comment."""
    written = BytesIO()
    Image.new("RGB", (120, 150), "white").save(written, "JPEG", comment=b"a picture of Wilhelmina")
    return written.getvalue()


def _id(path: str) -> UUID:
    return UUID(path.rpartition("/")[2])
