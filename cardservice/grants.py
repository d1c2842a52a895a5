"""What the service's own role may do on PostgreSQL, table by table and column by column.

The service connects as a role that owns nothing: what is not listed here it cannot do, whatever its code
says. (SQLite knows no roles; there the triggers alone keep the ledger from being changed.)
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import Connection

_ADD = ("SELECT", "INSERT")

GRANTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "alembic_version": ("SELECT",),
        "scheme": _ADD,
        "provider": (*_ADD, "UPDATE (name, closed_from)"),
        "terminal": (*_ADD, "UPDATE (name, role, offline_limit_minor, closed_from)"),
        "service_seller": (*_ADD, "UPDATE (valid_until)"),
        "card_key_grant": (*_ADD, "UPDATE (valid_until)"),
        "terminal_state": _ADD,
        "terminal_terms": _ADD,
        "terminal_health": (
            *_ADD,
            "UPDATE (seen_at, clock_ahead_ms, waiting, oldest_waiting_at, trust_fetched_at, lists_end_at)",
            "UPDATE (tariffs, version)",
        ),
        "terminal_invitation": (*_ADD, "UPDATE (attempts_left, used_at, key_sha256)", "DELETE"),
        "cardholder": (*_ADD, "UPDATE (category, index_version)"),
        # Replaced as a whole, and taken away.
        "record_field": (*_ADD, "DELETE"),
        "cardholder_token": (*_ADD, "DELETE"),
        # A later record takes an earlier one's place.
        "entitlement": _ADD,
        "guardianship": (*_ADD, "UPDATE (ended_at)"),
        "record_read": _ADD,
        "import_run": (*_ADD, "UPDATE (undone_by)"),
        "import_change": _ADD,
        "application": (*_ADD, "UPDATE (state, decided_at, decided_by, reason, card_id)"),
        "proof": (*_ADD, "UPDATE (ended_at)"),
        # Its state is set by a trigger, with its owner's right.
        "card": _ADD,
        "card_transition": ("SELECT",),
        "card_activation": (*_ADD, "UPDATE (attempts_left)", "DELETE"),
        "card_state": _ADD,
        "personalisation_order": (*_ADD, "UPDATE (state, changed_at)"),
        # A right to change is what locking a row takes. Counts are set by a trigger.
        "blank_place": (*_ADD, "UPDATE (name)"),
        "blank_stock": (*_ADD, "UPDATE (low_below)"),
        "blank_delivery": _ADD,
        "blank_movement": _ADD,
        "blank_stocktake": _ADD,
        "blank_desk": (*_ADD, "UPDATE (place_id, product)"),
        "temporary_card": (*_ADD, "UPDATE (ended_at)"),
        "loss_report": _ADD,
        "account_closing": (*_ADD, "UPDATE (told_at, stopped_at, ended_at)", "DELETE"),
        "bureau": _ADD,
        "bureau_batch": _ADD,
        "bureau_item": _ADD,
        # Taken away where a chip becomes another card.
        "card_uid": (*_ADD, "DELETE"),
        "certificate": (*_ADD, "UPDATE (revoked_at, revocation_reason, status_changed_at)"),
        "crl": _ADD,
        "status_index": _ADD,
        "pki_trail": _ADD,
        "pki_trail_head": (*_ADD, "UPDATE (sequence, sha256)"),
        "tariff": _ADD,
        "tariff_draft": (*_ADD, "UPDATE (state, closed_at, closed_by, closed_because, one_person)"),
        "audit": _ADD,
        "audit_link": _ADD,
        "audit_head": ("SELECT", "UPDATE (sequence, sha256)"),
        "staff": (*_ADD, "UPDATE (name, os_user, provider_id, is_active)"),
        "staff_role": (*_ADD, "DELETE"),
        # Taken away when it is too old to be answered.
        "staff_challenge": (*_ADD, "DELETE"),
        "staff_session": (*_ADD, "UPDATE (seen_at, ended_at, ended_by)"),
        "staff_passkey": (*_ADD, "UPDATE (sign_count, used_at)", "DELETE"),
        "staff_password": (*_ADD, "UPDATE (state, last_step, wrong, locked_until)", "DELETE"),
        "staff_enrolment": (*_ADD, "UPDATE (attempts_left)", "DELETE"),
        "staff_request": (*_ADD, "DELETE"),
        "second_person": (*_ADD, "UPDATE (state, closed_by, closed_at)"),
        "security_event": (*_ADD, "UPDATE (quarantined)"),
        # Sealed anew under another version of the key.
        "quarantine": (*_ADD, "UPDATE (state, closed_at, closed_by, closed_because, sealed, key_id)"),
        "refusal_tally": (*_ADD, "UPDATE (refused, not_kept)"),
        "payer": _ADD,
        "cardholder_payer": _ADD,
        "payer_state": (*_ADD, "UPDATE (version)"),
        "account": (*_ADD, "UPDATE (balance, floor)"),
        "payer_limit": _ADD,
        # Taken away when what they are about is over, as resources and reservations are.
        "counter": (*_ADD, "UPDATE (used)", "DELETE"),
        # Never changed, never deleted: a mistake is answered by a transfer that reverses it.
        "ledger_transaction": _ADD,
        "transfer": _ADD,
        "transaction_proof": _ADD,
        # Only added to, too, but for the worker's place, its sums, and salts that are erased.
        "ledger_epoch": _ADD,
        "ledger_position": (*_ADD, "UPDATE (epoch, sequence, posted_below, open_day)"),
        "ledger_sequence": _ADD,
        "account_rollup": (*_ADD, "UPDATE (debit_minor, credit_minor)"),
        "day_seal": _ADD,
        "sealed_leaf": (*_ADD, "UPDATE (salt, erased_at, tombstone)"),
        "ledger_recovery": (*_ADD, "UPDATE (finished_at, finished_by)"),
        "recovered_message": _ADD,
        "recovery_terminal": (*_ADD, "UPDATE (told_at, messages, complete)"),
        "rating": _ADD,
        "rating_position": (*_ADD, "UPDATE (epoch, sequence)"),
        "payment_reference": _ADD,
        "payment_attempt": (*_ADD, "UPDATE (provider_payment, state, check_at, posted_as)"),
        "payment_refund": (*_ADD, "UPDATE (provider_refund, state, check_at, returned_as)"),
        "payment_dispute": (*_ADD, "UPDATE (state, posted_as, posted_minor)"),
        "payment_provider": (*_ADD, "UPDATE (disputes_check_at)"),
        "settlement_file": _ADD,
        "settlement_line": (*_ADD, "UPDATE (state)"),
        "redemption": _ADD,
        "payout": (*_ADD, "UPDATE (approved_by, posted_as)"),
        "payment_matter": (*_ADD, "UPDATE (closed_at, closed_by, closed_because)"),
        "resource": (*_ADD, "UPDATE (capacity, taken, version)", "DELETE"),
        "reservation": (*_ADD, "UPDATE (state, expires_at)", "DELETE"),
        "lending_member": (
            *_ADD,
            "UPDATE (barcode, pin, wrong_pins, locked_until, keeps_history, barred_by)",
        ),
        # A right to change is what locking a row takes.
        "lending_title": (*_ADD, "UPDATE (name)"),
        "lending_copy": (*_ADD, "UPDATE (place, withdrawn)"),
        # Gone when the thing is back.
        "lending_loan": (*_ADD, "UPDATE (due_on, renewals, terms)", "DELETE"),
        "lending_hold": (*_ADD, "UPDATE (copy, kept_until)", "DELETE"),
        "lending_fine": _ADD,
        "lending_payment": _ADD,
        "lending_history": (*_ADD, "DELETE"),
        "lending_count": (*_ADD, "UPDATE (count)"),
        "sip2_account": (*_ADD, "UPDATE (password, profile, closed_at)"),
        # Erased when their retention ends.
        "transaction_details": (*_ADD, "DELETE"),
        # Wrapped anew under another version; destroyed.
        "cardholder_key": (*_ADD, "UPDATE (kek_version, wrapped, destroyed_at)"),
        "erased_card": ("SELECT",),
    }
)
_TAKE = ("SELECT", "DELETE")
# What erases persons is another role. Neither may change or delete a transaction, a transfer or a proof.
ERASURE_GRANTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "alembic_version": ("SELECT",),
        # A right to change is what locking a row takes.
        "cardholder": (*_TAKE, "UPDATE (category)"),
        "record_field": _TAKE,
        "cardholder_token": _TAKE,
        "entitlement": _TAKE,
        "import_change": _TAKE,
        "import_run": ("SELECT",),
        "guardianship": _TAKE,
        "record_read": _TAKE,
        "application": _TAKE,
        "proof": _TAKE,
        "lending_member": _TAKE,
        "lending_loan": ("SELECT",),
        "lending_hold": _TAKE,
        "lending_fine": _TAKE,
        "lending_payment": _TAKE,
        "lending_history": _TAKE,
        "card": _TAKE,
        "card_activation": _TAKE,
        "card_state": _TAKE,
        "personalisation_order": _TAKE,
        "bureau_item": _TAKE,
        "temporary_card": _TAKE,
        "loss_report": _TAKE,
        "account_closing": _TAKE,
        "card_uid": _TAKE,
        "certificate": ("SELECT", "UPDATE (identity, der)"),
        "status_index": ("SELECT", "UPDATE (identity)"),
        "pki_trail": _ADD,
        "pki_trail_head": (*_ADD, "UPDATE (sequence, sha256)"),
        "quarantine": _TAKE,
        "second_person": ("SELECT", "UPDATE (detail)"),
        "audit": (*_ADD, "UPDATE (subject)"),
        "audit_link": ("SELECT", "UPDATE (salt)"),
        "payer": ("SELECT",),
        "cardholder_payer": _TAKE,
        "payer_state": ("SELECT", "UPDATE (version)"),
        "account": ("SELECT",),
        "payer_limit": _TAKE,
        "counter": _TAKE,
        "ledger_transaction": ("SELECT",),
        "transfer": ("SELECT",),
        "transaction_proof": ("SELECT",),
        "transaction_details": _TAKE,
        "rating": ("SELECT",),
        "ledger_sequence": ("SELECT",),
        "sealed_leaf": ("SELECT", "UPDATE (salt, erased_at, tombstone)"),
        "cardholder_key": (*_ADD, "UPDATE (cardholder_id, wrapped, destroyed_at)"),
        "erased_card": _ADD,
    }
)
FUNCTIONS = ("post_transactions", "read_for_messages")


def grant_service_role(connection: Connection, role: str) -> None:
    """Give the service's role exactly what is listed here; does nothing on SQLite.

    Run it as the owner, after each migration.
    """
    _grant(connection, role, GRANTS, FUNCTIONS)


def grant_erasure_role(connection: Connection, role: str) -> None:
    """The same for the role that erases persons."""
    _grant(connection, role, ERASURE_GRANTS, ())


def _grant(
    connection: Connection, role: str, grants: Mapping[str, tuple[str, ...]], functions: Sequence[str]
) -> None:
    """Give `role` exactly this, and take away what it had."""
    if connection.dialect.name == "sqlite":
        return
    quoted = connection.dialect.identifier_preparer.quote(role)
    statements = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {quoted}",
        f"GRANT USAGE ON SCHEMA public TO {quoted}",
        *(f"GRANT {', '.join(rights)} ON {table} TO {quoted}" for table, rights in grants.items()),
        *(f"GRANT EXECUTE ON FUNCTION {function} TO {quoted}" for function in functions),
    ]
    for statement in statements:
        connection.exec_driver_sql(statement)
