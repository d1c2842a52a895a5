"""`tap` and `quote`: what is done with a card, or before one comes."""

from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import click

from reader_agent.commands import common
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
    with common.open_agent(directory) as agent, common.readers() as readers:
        result = tap_card(agent, readers.connect(reader, wait_s=wait_s), order)
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
