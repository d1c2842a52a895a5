"""`cardservice cardholder`, as an administrator runs it: what is changed, shown, and written down of it."""

import getpass
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from sqlalchemy import select

from cardservice.audit.models import audit
from cardservice.cardholders.service import Profile, profile_of
from cardservice.cli import main
from cardservice.context import Context
from cardservice.ids import CardholderId
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import Council, new_id

WHO = f"cli:{getpass.getuser()}"
NOBODY = new_id()


def run(context: Context, *arguments: str) -> Result:
    """The command in this process, with settings from its environment."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    return CliRunner().invoke(main, ["cardholder", *arguments], env=settings)


def ok(result: Result) -> Any:
    """What a command printed, as JSON where it is."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if result.stdout.startswith("{") else result.stdout


def profile(context: Context, holder: CardholderId) -> Profile:
    """The record as it is now."""
    with context.database.reading() as connection:
        return profile_of(connection, context.keys.cardholder_kek, holder)


def noted(context: Context, holder: object) -> list[tuple[str, str, dict[str, object]]]:
    """What the audit log has of a cardholder: who did what."""
    with context.database.reading() as connection:
        rows = connection.execute(select(audit).where(audit.c.subject == str(holder)).order_by(audit.c.id))
        return [(row.actor, row.action, row.detail) for row in rows]


@pytest.fixture
def ava(council: Council) -> CardholderId:
    """Somebody with a form and allergens."""
    return council.card("pupil", form="5B", allergens=["nuts", "milk"]).holder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo as a camera makes it."""
    path = tmp_path / "ava.jpg"
    Image.new("RGB", (1200, 1600), (200, 30, 30)).save(path)
    return path


def test_added_and_shown(context: Context, council: Council) -> None:
    """For a script, and for a person."""
    more = ("--form", "5B", "--allergen", "nuts", "--allergen", "milk")
    holder = ok(run(context, "add", "Ava Reed", "--category", "pupil", *more, "--json"))["cardholder"]
    assert ok(run(context, "show", holder, "--json")) == {
        "cardholder": holder,
        "name": "Ava Reed",
        "category": "pupil",
        "form": "5B",
        "allergens": ["milk", "nuts"],
        "photo_bytes": None,
        **dict.fromkeys(("born_on", "address", "contact", "preferences", "consents", "flags")),
    }
    assert ok(run(context, "show", holder)) == (
        "Ava Reed, pupil\n  form: 5B\n  must not eat: milk, nuts\n  photo: none\n"
    )
    assert noted(context, holder) == [
        (WHO, "cardholder.add", {"category": "pupil"}),
        (WHO, "cardholder.set", {"changed": "form"}),
        (WHO, "cardholder.set", {"changed": "allergens"}),
        (WHO, "cardholder.show", {}),
        (WHO, "cardholder.show", {}),
    ]


def test_each_thing_is_changed_by_itself(context: Context, ava: CardholderId) -> None:
    """What is not named stays; allergens replace all that were there; no value is written down."""
    before = len(noted(context, ava))
    ok(run(context, "set", str(ava), "--form", "6B"))
    assert (profile(context, ava).form, profile(context, ava).allergens) == ("6B", ("milk", "nuts"))
    ok(run(context, "set", str(ava), "--allergen", "eggs"))
    assert (profile(context, ava).form, profile(context, ava).allergens) == ("6B", ("eggs",))
    ok(run(context, "set", str(ava), "--no-form", "--no-allergens"))
    assert (profile(context, ava).form, profile(context, ava).allergens) == (None, ())
    ok(run(context, "set", str(ava), "--name", "Ava Hale"))
    assert profile(context, ava).name == "Ava Hale"
    assert "is no name" in run(context, "set", str(ava), "--name", " ").stderr
    assert noted(context, ava)[before:] == [
        (WHO, "cardholder.set", {"changed": "form"}),
        (WHO, "cardholder.set", {"changed": "allergens"}),
        (WHO, "cardholder.set", {"changed": "form"}),
        (WHO, "cardholder.set", {"changed": "allergens"}),
        (WHO, "cardholder.set", {"changed": "name"}),
    ]


def test_a_photo_is_kept_replaced_and_removed(context: Context, ava: CardholderId, photo: Path) -> None:
    """A small JPEG of it."""
    before = len(noted(context, ava))
    told = ok(run(context, "photo", str(ava), str(photo), "--json"))
    assert told == {"cardholder": str(ava), "photo_bytes": len(profile(context, ava).photo or b"")}
    Image.new("RGBA", (300, 400), (0, 0, 0, 0)).save(photo, "PNG")
    ok(run(context, "photo", str(ava), str(photo)))
    with Image.open(BytesIO(profile(context, ava).photo or b"")) as picture:
        assert (picture.format, picture.size) == ("JPEG", (300, 400))
    assert ok(run(context, "photo", str(ava), "--remove")) == f"{ava} has no photo any more.\n"
    assert profile(context, ava).photo is None
    assert noted(context, ava)[before:] == [(WHO, "cardholder.set", {"changed": "photo"})] * 3


def test_what_is_refused_changes_nothing(context: Context, ava: CardholderId, photo: Path) -> None:
    """In a sentence, with exit status 1; of an order of which one half is good, that half is not done."""
    before = noted(context, ava)
    photo.write_bytes(photo.read_bytes()[:900])
    for arguments, reason in (
        (("set", str(ava), "--no-allergens", "--form", "5\x1b[2J"), "is no form"),
        (("photo", str(ava), str(photo)), "broken or incomplete"),
        (("show", "ava"), "no identifier"),
        (("show", str(NOBODY)), f"no cardholder {NOBODY}"),
        (("set", str(NOBODY), "--no-form"), f"no cardholder {NOBODY}"),
        (("photo", str(NOBODY), "--remove"), f"no cardholder {NOBODY}"),
    ):
        result = run(context, *arguments)
        assert (result.exit_code, reason in result.stderr) == (1, True), result.output
    assert (profile(context, ava).form, profile(context, ava).allergens) == ("5B", ("milk", "nuts"))
    assert (noted(context, ava), noted(context, NOBODY)) == (before, [])


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "ID"),
        ("set", "ID", "--form", "5B", "--no-form"),
        ("set", "ID", "--allergen", "milk", "--no-allergens"),
        ("set", "ID", "--allergen", "strawberries"),
        ("photo", "ID"),
        ("photo", "ID", __file__, "--remove"),
        ("photo", "ID", "nowhere.jpg"),
    ],
)
def test_orders_that_say_nothing_or_too_much(arguments: tuple[str, ...]) -> None:
    """Usage, with exit status 2, before anything is opened."""
    assert CliRunner().invoke(main, ["cardholder", *arguments]).exit_code == 2
