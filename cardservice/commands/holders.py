"""Cardholders: who has cards, and what a till shows of them."""

from pathlib import Path
from typing import Any

import click

from cardservice.allergens import ALLERGENS
from cardservice.cardholders.photos import MAX_FILE_BYTES, prepared
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import (
    NewCardholder,
    Profile,
    add_cardholder,
    require_cardholder,
    set_allergens,
    set_form,
    set_name,
    set_photo,
)
from cardservice.cardholders.showing import MORE, show
from cardservice.commands.common import acting, actor, command, identifier, json_option, opened, say
from cardservice.staff.functions import OPTIONS

_PROTECTED_SHOWN = "cardholder show --address-because"

_allergen = click.option(
    "--allergen",
    "allergens",
    type=click.Choice(list(ALLERGENS)),
    multiple=True,
    help="What this person must not eat; once for each.",
)
_form = click.option("--form", help="The school class, such as 5B.")


@click.group()
def cardholder() -> None:
    """Who has cards."""


@cardholder.command("add")
@click.argument("name")
@click.option("--category", default="adult", show_default=True, help="What prices go by.")
@_form
@_allergen
@json_option
@command
def cardholder_add(
    name: str, category: str, form: str | None, allergens: tuple[str, ...], as_json: bool
) -> None:
    """Register a person, who pays for themself until another payer is assigned."""
    with opened() as context, context.database.begin() as connection:
        new = NewCardholder(name, category, form, allergens)
        holder, payer = add_cardholder(
            connection,
            new,
            context.scheme.currency,
            context.keys.cardholder_kek,
            actor=actor(),
            moment=context.now(),
        )
    say(f"Cardholder {holder}", {"cardholder": str(holder), "payer": str(payer)}, as_json=as_json)


@cardholder.command("set")
@click.argument("cardholder_id")
@click.option("--name", help="What this person is called, where it was wrong or has changed.")
@_form
@click.option("--no-form", is_flag=True, help="In no school class any more.")
@_allergen
@click.option("--no-allergens", is_flag=True, help="There is nothing this person must not eat.")
@json_option
@command
def cardholder_set(
    cardholder_id: str,
    name: str | None,
    form: str | None,
    no_form: bool,
    allergens: tuple[str, ...],
    no_allergens: bool,
    as_json: bool,
) -> None:
    """Change what a till shows of a cardholder. Allergens replace all that were noted before.

    What is printed on a card stays as it is: order a replacement after another name.
    """
    if (form is not None and no_form) or (allergens and no_allergens):
        raise click.UsageError("a thing is given or taken away, not both")
    if not (name is not None or form is not None or no_form or allergens or no_allergens):
        raise click.UsageError("say what to change: --name, --form, --no-form, --allergen, --no-allergens")
    with opened() as context, context.database.begin() as connection:
        holder, moment = require_cardholder(connection, identifier(cardholder_id)), context.now()
        kek = context.keys.cardholder_kek
        if name is not None:
            set_name(connection, kek, holder, name, actor=actor(), moment=moment)
        if form is not None or no_form:
            set_form(connection, kek, holder, form, actor=actor(), moment=moment)
        if allergens or no_allergens:
            set_allergens(connection, kek, holder, allergens, actor=actor(), moment=moment)
    say(f"Changed {holder}.", {"cardholder": str(holder)}, as_json=as_json)


@cardholder.command("photo")
@click.argument("cardholder_id")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--remove", is_flag=True, help="Take the photo away.")
@json_option
@command
def cardholder_photo(cardholder_id: str, file: Path | None, remove: bool, as_json: bool) -> None:
    """Keep a photo (JPEG or PNG) in place of an earlier one; nothing but a small picture is kept of it."""
    if (file is None) is not remove:
        raise click.UsageError("name the photo's file, or say --remove")
    jpeg = None if file is None else prepared(_read(file))
    with opened() as context, context.database.begin() as connection:
        holder = require_cardholder(connection, identifier(cardholder_id))
        kek = context.keys.cardholder_kek
        set_photo(connection, kek, holder, jpeg, actor=actor(), moment=context.now())
    size = None if jpeg is None else len(jpeg)
    words = f"{holder} has no photo any more." if size is None else f"{holder} has a photo of {size} bytes."
    say(words, {"cardholder": str(holder), "photo_bytes": size}, as_json=as_json)


@cardholder.command("show")
@click.argument("cardholder_id")
@click.option(
    "--address-because",
    metavar="WHY",
    help="Show a protected address, too, if you may; it is noted.",
)
@json_option
@command
def cardholder_show(cardholder_id: str, address_because: str | None, as_json: bool) -> None:
    """Show a cardholder's record; that you did is written to the audit log."""
    with opened() as context, context.database.begin() as connection:
        if address_because is not None:
            acting().require(OPTIONS[_PROTECTED_SHOWN], _PROTECTED_SHOWN)
        holder = require_cardholder(connection, identifier(cardholder_id))
        who: dict[str, Any] = {"actor": actor(), "moment": context.now(), "because": address_because}
        profile, more = show(connection, context.keys.cardholder_kek, holder, **who)
    values = {
        "cardholder": str(holder),
        "name": profile.name,
        "category": profile.category,
        "form": profile.form,
        "allergens": list(profile.allergens),
        "photo_bytes": None if profile.photo is None else len(profile.photo),
        **{field.value: more.get(field) for field in MORE},
    }
    say("\n".join((_words(profile), *map(_more, more.items()))), values, as_json=as_json)


def _read(file: Path) -> bytes:
    """As much of a file as tells whether it is too large."""
    with file.open("rb") as opened_file:
        return opened_file.read(MAX_FILE_BYTES + 1)


def _more(item: tuple[Field, Any]) -> str:
    """One line about what a record has beside what a till shows."""
    field, value = item
    if isinstance(value, dict):
        value = ", ".join(_named(name, said) for name, said in value.items())
    return f"  {field.replace('_', ' ')}: {value}"


def _named(name: str, said: Any) -> str:
    """A part of it, such as `street Old Row`, `larger text`, or `notices agreed to by 2026-1 since …`."""
    if isinstance(said, dict):
        wording = f" by {said['wording']}" if "wording" in said else ""
        does = "agreed to" if said["given"] else "not agreed to"
        return f"{name.replace('_', ' ')} {does}{wording} since {said['since']}"
    return name.replace("_", " ") if said is True else f"{name} {said}"


def _words(profile: Profile) -> str:
    allergens = ", ".join(ALLERGENS[allergen].lower() for allergen in profile.allergens)
    return "\n".join(
        (
            f"{profile.name}, {profile.category}",
            f"  form: {profile.form or 'none'}",
            f"  must not eat: {allergens or 'nothing noted'}",
            f"  photo: {'none' if profile.photo is None else 'yes'}",
        )
    )
