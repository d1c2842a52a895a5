"""Why nothing was paid, in words for the person at the terminal; the codes are the agent's and the service's.

None of the words can tell one way of paying from another: who has free meals is nobody's business at a till.
"""

from collections.abc import Mapping

from flask_babel import gettext


def in_words() -> Mapping[str, str]:
    """Words for each reason that is known; for another the page shows what the service says."""
    return {**_of_the_card(), **_of_the_sale(), **_of_the_terminal()}


def _of_the_card() -> Mapping[str, str]:
    again = gettext("The card was taken away too soon. Hold it on the reader until the screen says so.")
    several = gettext("The reader saw another card. Present one card alone.")
    not_ours = gettext("This is not one of our cards.")
    unfinished = gettext("This card is not finished yet.")
    revoked = gettext("This card has been cancelled.")
    expired = gettext("This card has expired.")
    return {
        "card_removed": again,
        "card_reset": again,
        "card_silent": again,
        "no_card": again,
        "tap_over": again,
        "tap_unknown": gettext("The card must be presented again."),
        "tap_busy": gettext("This card is paying already."),
        "tap_spent": gettext("This card has paid already since it was put on the reader."),
        "card_proof_invalid": several,
        "card_identity_mismatch": several,
        "proof_of_another_card": several,
        "proof_invalid": not_ours,
        "proof_of_another_use": not_ours,
        "card_not_piv": not_ours,
        "card_unknown": not_ours,
        "scheme_mismatch": not_ours,
        "chain_invalid": not_ours,
        "purpose_refused": not_ours,
        "card_data_missing": unfinished,
        "card_data_malformed": unfinished,
        "card_revoked": revoked,
        "certificate_revoked": revoked,
        "card_expired": expired,
        "certificate_expired": expired,
        "certificate_not_yet_valid": gettext("This card is not valid yet."),
        "card_suspended": gettext("This card is suspended."),
        "card_not_active": gettext("This card has not been activated yet."),
    }


def _of_the_sale() -> Mapping[str, str]:
    return {
        "insufficient_funds": gettext("There is not enough money for all of this."),
        "limit_reached": gettext("This would pass the limit for today."),
        "allergen_stop": gettext("Something here is what this person must not eat. Read the allergens."),
        "second_meal": gettext("There was a main meal for this card already. Ask before you sell another."),
        "item_blocked": gettext("Something here is not allowed for this card."),
        "item_limit": gettext("This would be more of it than is allowed today."),
        "arrears_limit": gettext("Too much is owed on this account. Ask a supervisor."),
        "no_school": gettext("There is no school on that day."),
        "order_closed": gettext("It is too late to order or cancel for that day."),
        "not_ordered": gettext("This was not ordered, or has been collected."),
        "nothing_to_refund": gettext("There is nothing left of it to give back."),
        "return_too_late": gettext("A till gives back meals of the same day alone."),
        "price_changed": gettext("The price has changed. Look at the new price and try again."),
        "item_unknown": gettext("Something here is not on the menu any more."),
        "item_not_offered": gettext("Something here is not offered now."),
        "service_unknown": gettext("This is not offered now."),
        "tariff_expired": gettext("The prices are out of date."),
        "tariff_not_yet_valid": gettext("The prices are not valid yet."),
        "tariff_missing": gettext("There are no prices yet."),
        "catalogue_missing": gettext("There is nothing to sell here."),
        "catalogue_refused": gettext("There is nothing to sell here."),
        "no_fare": gettext("There is no fare for this trip."),
        "fare_ambiguous": gettext("There is no fare for this trip."),
        "stop_unknown": gettext("There is no fare for this trip."),
        "no_tapping": gettext("Nobody taps in or out here."),
        "calendar_ended": gettext("There are no prices for this day yet."),
        "pass_unknown": gettext("This pass is not sold here."),
        "pass_day": gettext("This pass does not begin today."),
        "no_companion": gettext("Nobody goes along for nothing on this trip."),
        "no_pass": gettext("There is no pass for this trip."),
        "no_ticket": gettext("There is no ticket for this trip."),
        "service_off": gettext("This service is switched off for this card."),
        "interrupted": gettext("The payment was interrupted. Nothing was charged."),
        "annulled": gettext("The payment was interrupted. Nothing was charged."),
    }


# What a terminal's own program would have to do otherwise: to the holder it is one thing.
_FAULTS_OF_THE_PROGRAM = (
    "request_signature_missing",
    "request_signature_invalid",
    "request_signature_malformed",
    "request_signature_keyid_malformed",
    "request_signature_components",
    "request_digest_mismatch",
    "malformed",
    "statement_malformed",
    "amount_negative",
    "amount_too_large",
    "terminal_mismatch",
    "details_mismatch",
    "id_conflict",
    "id_of_another_terminal",
    "erased",
    "answer_missing",
    "answer_invalid",
)


def _of_the_terminal() -> Mapping[str, str]:
    unreachable = gettext("The card service does not answer.")
    not_ready = gettext("This terminal is not ready. Tell whoever looks after it.")
    clock = gettext("This terminal’s clock is wrong. Tell whoever looks after it.")
    return {
        "service_unreachable": unreachable,
        "offline": unreachable,
        "offline_refused": gettext("This cannot be sold while the card service does not answer."),
        "agent_away": gettext("The card reader program is not running."),
        "stopping": gettext("The card reader program is being started anew. Try again."),
        "pcsc_unavailable": gettext("The card reader does not work."),
        "reader_unknown": gettext("The card reader does not work."),
        "reader_busy": gettext("Another program is using the card reader."),
        "status_stale": gettext("This terminal has been without the card service for too long."),
        "status_unknown": gettext("This terminal has been without the card service for too long."),
        "trust_missing": not_ready,
        "role_not_allowed": not_ready,
        "terminal_unknown": not_ready,
        "terminal_revoked": not_ready,
        "service_of_another_provider": not_ready,
        **dict.fromkeys(_FAULTS_OF_THE_PROGRAM, not_ready),
        "request_signature_stale": clock,
        "clock": clock,
        "clock_behind": clock,
    }
