"""`tap`, `quote` and `personalise`: what is done with a card, or before one comes."""

from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import click

from reader_agent.cardspec.piv import AES_KEY_LENGTH, WELL_KNOWN_TRANSPORT_KEY
from reader_agent.commands import common
from reader_agent.errors import ConfigInvalid
from reader_agent.personalise import Stage, give_up
from reader_agent.personalise import personalise as personalise_card
from reader_agent.tapping import Outcome, TapOrder, TapResult
from reader_agent.tapping import tap as tap_card

_service_option = click.option("--service", required=True, help="like transport")
_action_option = click.option("--action", required=True, help="like single-fare")
_detail_option = click.option("--detail", "details", multiple=True, help="NAME=VALUE; repeat for more")


@click.command()
@common.agent_option
@common.reader_option
@_service_option
@_action_option
@_detail_option
@click.option("--no-offline", is_flag=True, help="never serve without the service")
@common.wait_option
@common.as_json_option
@common.telling_errors
def tap(
    directory: Path,
    reader: str,
    service: str,
    action: str,
    details: tuple[str, ...],
    no_offline: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Let the card on the reader pay; exit status 0 if the goods may be given, 3 if they may not."""
    order = TapOrder(service, action, common.parse_details(details), allow_offline=not no_offline)
    with common.open_agent(directory) as agent:
        readers = common.readers()
        try:
            result = tap_card(agent, readers.connect(reader, wait_s=wait_s), order)
        finally:
            readers.close()
    common.show(as_json, _tap_json(result), _receipt(result))
    if result.outcome is not Outcome.APPROVED:
        raise SystemExit(common.STATUS_NOT_PAID)


@click.command()
@common.agent_option
@_service_option
@_action_option
@_detail_option
@click.option("--card", type=click.UUID, help="for this card (default: for anybody)")
@common.as_json_option
@common.telling_errors
def quote(
    directory: Path, service: str, action: str, details: tuple[str, ...], card: UUID | None, as_json: bool
) -> None:
    """Ask for a price; what may be charged offline is kept for when the service does not answer."""
    wanted = common.parse_details(details)
    with common.open_agent(directory) as agent:
        found = agent.client.quote(service, action, card, wanted)
        agent.memory.keep_quote(service, action, wanted, found, agent.now())
    price = found.price
    lines = [f"{common.money(price.amount_minor, price.currency)}, tariff {price.tariff_version}"]
    if found.offline is None:
        lines.append("not offline")
    else:
        amount = common.money(found.offline.amount_minor, found.offline.currency)
        lines.append(f"offline {amount}, until {found.offline.valid_until:%Y-%m-%d %H:%M} UTC")
    value = {
        **asdict(price),
        "lines": [asdict(line) for line in found.lines],
        "offline": None if found.offline is None else asdict(found.offline),
    }
    common.show(as_json, value, lines)


@click.command()
@click.argument("order", type=click.UUID)
@common.agent_option
@click.option("--reader", help="the reader with the blank card")
@click.option(
    "--transport-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="the management key that the card came with, in hex (default: the makers' well-known one)",
)
@click.option("--give-up", "is_given_up", is_flag=True, help="the card is spoilt: revoke what was certified")
@common.wait_option
@common.as_json_option
@common.telling_errors
def personalise(
    order: UUID,
    directory: Path,
    reader: str | None,
    transport_key_file: Path | None,
    is_given_up: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Make the blank card on the reader the card of ORDER; called again it goes on where it broke off."""
    if (reader is None) != is_given_up:
        raise click.UsageError("give --reader for a card, or --give-up for none")
    with common.open_agent(directory) as agent:
        if reader is None:
            state = give_up(agent, order)
            common.show(as_json, {"order": order, "state": state}, [f"Given up; the card is {state}."])
            return
        readers = common.readers()
        try:
            connection = readers.connect(reader, wait_s=wait_s)
            key = _transport_key(transport_key_file)
            done = personalise_card(agent, connection, order, key, _tell_stage)
        finally:
            readers.close()
    common.show(as_json, asdict(done), [f"The card {done.card} is {done.state}."])


def _transport_key(path: Path | None) -> bytes:
    if path is None:
        return WELL_KNOWN_TRANSPORT_KEY
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"{path} does not hold a key in hex") from error
    if len(key) not in AES_KEY_LENGTH.values():
        raise ConfigInvalid(f"{path} does not hold an AES key of 16, 24 or 32 bytes")
    return key


def _tell_stage(stage: Stage) -> None:
    # Not on standard output, which scripts read.
    click.echo(f"  {stage.replace('_', ' ')}", err=True)


def _tap_json(result: TapResult) -> dict[str, object]:
    return {**asdict(result), "decision": result.outcome}


def _receipt(result: TapResult) -> list[str]:
    head = {
        Outcome.APPROVED: "APPROVED (offline)" if result.offline else "APPROVED",
        Outcome.DECLINED: "DECLINED",
        Outcome.NOT_PAID: "NOT PAID",
    }[result.outcome]
    lines = [f"{head}  {common.money(result.amount_minor, result.currency)}"]
    lines += [
        f"  {line.label:40} {common.money(line.amount_minor, result.currency):>14}" for line in result.receipt
    ]
    lines.append(f"  {result.message} [{result.reason}]")
    lines += [
        f"  {balance.account} {common.money(balance.amount_minor, balance.unit)}"
        for balance in result.balances
    ]
    if result.id is not None:
        lines.append(f"  transaction {result.id}")
    return lines
