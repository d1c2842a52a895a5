"""Tariffs and their drafts as JSON, for commands and the API alike."""

from typing import Any

from marshmallow import fields
from marshmallow.validate import Length, Range, Regexp

from cardservice.api.fields import Bytes, Identifier, Message, text, to_rfc3339
from cardservice.tariffs.desk import Offered
from cardservice.tariffs.drafts import Draft
from cardservice.tariffs.preview import Preview

MAX_FILES = 64
# Ours: of one file. What is larger is loaded at the keyboard.
MAX_FILE_BYTES = 6 << 20
# Of a list, in one answer; what leads to the next page is a version's name.
MAX_PAGE, MAX_CURSOR = 100, 128
_FILE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z"


class TariffFileSchema(Message):
    """A file as it would be named to `cardservice load`."""

    name = fields.String(required=True, validate=Regexp(_FILE_NAME))
    content = Bytes(required=True, max_length=MAX_FILE_BYTES)


class NewDraftSchema(Message):
    """A tariff to be drafted."""

    service = text(required=True)
    files = fields.List(fields.Nested(TariffFileSchema), required=True, validate=Length(1, MAX_FILES))


class NoWordsSchema(Message):
    """An order that says all by its address."""


class WithdrawalSchema(Message):
    """Why a draft shall not be."""

    reason = text(200, required=True)


class PageSchema(Message):
    """Which page of a list."""

    after = text(
        MAX_CURSOR, load_default=None, metadata={"description": "as `next` of the page before has it"}
    )
    limit = fields.Integer(load_default=MAX_PAGE, validate=Range(1, MAX_PAGE))


class ChangeSchema(Message):
    """One line of a price list that is added, removed or changed."""

    kind = fields.String(required=True)
    what = fields.String(required=True)
    before = fields.String(required=True, allow_none=True)
    after = fields.String(required=True, allow_none=True)


class PreviewSchema(Message):
    """What a draft would change; `hidden`: nothing, since one that begins later is in force."""

    before = fields.String(required=True, allow_none=True)
    begins = fields.String(required=True)
    ends = fields.String(required=True, allow_none=True)
    at_once = fields.Boolean(required=True)
    hidden = fields.Boolean(required=True)
    changes = fields.List(fields.Nested(ChangeSchema), required=True)


class DraftSchema(Message):
    """A draft; without an id the same is stored already."""

    draft = Identifier(required=True, allow_none=True)
    service = fields.String(required=True)
    version = fields.String(required=True)
    valid_from = fields.String(required=True)
    source = fields.String(required=True)
    author = fields.String(required=True)
    state = fields.String(required=True)
    closed_by = fields.String(required=True, allow_none=True)
    closed_because = fields.String(required=True, allow_none=True)


class OfferedSchema(DraftSchema):
    """A draft with what loading said, and what it would change by now."""

    report = fields.List(fields.String(), required=True)
    preview = fields.Nested(PreviewSchema, required=True, allow_none=True)


class VersionSchema(Message):
    """A stored tariff."""

    version = fields.String(required=True)
    valid_from = fields.String(required=True)
    recorded_at = fields.String(required=True)
    source = fields.String(required=True)
    author = fields.String(required=True)
    approved_by = fields.String(required=True, allow_none=True)
    in_force = fields.Boolean(required=True)


class TariffsSchema(Message):
    """What a service has."""

    versions = fields.List(
        fields.Nested(VersionSchema), required=True, metadata={"description": "the earliest first"}
    )
    next = fields.String(
        required=True, allow_none=True, metadata={"description": "`after` of the next page; null: none"}
    )
    drafts = fields.List(fields.Nested(DraftSchema), required=True)


def draft_values(draft: Draft) -> dict[str, Any]:
    """A draft as JSON."""
    return {
        "draft": str(draft.id),
        "service": draft.service,
        "version": draft.loaded.version,
        "valid_from": to_rfc3339(draft.loaded.valid_from),
        "source": draft.source,
        "author": draft.author,
        "state": draft.state,
        "closed_by": draft.closed_by,
        "closed_because": draft.closed_because,
    }


def offered_values(offered: Offered) -> dict[str, Any]:
    """A draft with its preview, as JSON."""
    return {
        **({} if offered.draft is None else draft_values(offered.draft)),
        "report": list(offered.loaded.report),
        "preview": None if offered.changes is None else preview_values(offered.changes),
    }


def preview_values(found: Preview) -> dict[str, Any]:
    """A preview as JSON."""
    return {
        "before": found.before,
        "begins": to_rfc3339(found.begins),
        "ends": None if found.ends is None else to_rfc3339(found.ends),
        "at_once": found.at_once,
        "hidden": found.hidden,
        "changes": [
            {"kind": one.kind, "what": one.what, "before": one.before, "after": one.after}
            for one in found.changes
        ],
    }
