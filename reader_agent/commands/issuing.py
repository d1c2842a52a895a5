"""`personalise`: blank cards become those of orders, one at the desk or many in a batch."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from reader_agent.agent import Agent
from reader_agent.commands import common, transport_secrets
from reader_agent.commands.uids import UidType
from reader_agent.personalise import Personalised, Stage, give_up, reset_card
from reader_agent.personalise import personalise as personalise_card
from reader_agent.personalise.batch import Summary, run_batch
from reader_agent.personalise.batch_files import ResultFile, StockCard, read_stock
from reader_agent.personalise.uids import HoldCard
from reader_agent.transport.connection import CardConnection

if TYPE_CHECKING:
    from reader_agent.transport.slots import SlotReaders

_stock_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("order", type=click.UUID, required=False)
@common.agent_option
@click.option("--reader", "readers", multiple=True, help="with the blank card; for a batch repeat for more")
@transport_secrets.key_option
@transport_secrets.puk_option
@click.option(
    "--uid",
    type=UidType(),
    help="in hex: what this card shows to a contactless reader, for terminals that see nothing else of it",
)
@click.option("--uid-reader", help="a contactless reader that the card is held to afterwards, for its UID")
@click.option("--give-up", "is_given_up", is_flag=True, help="the card is spoilt: revoke what was certified")
@click.option("--reset", "is_reset", is_flag=True, help="make the card a blank one again, and give up")
@click.option("--batch", type=_stock_file, help="CSV of orders, to be made one after the other")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="CSV of what became of them")
@common.wait_option
@common.as_json_option
@common.telling_errors
def personalise(
    order: UUID | None,
    *,
    directory: Path,
    readers: tuple[str, ...],
    transport_key_file: Path | None,
    transport_puk_file: Path | None,
    uid: bytes | None,
    uid_reader: str | None,
    is_given_up: bool,
    is_reset: bool,
    batch: Path | None,
    out: Path | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Make the blank card on the reader the card of ORDER; called again it goes on where it broke off.

    It prints the card's first PIN, once: tell it to the holder alone. With --batch STOCK.csv --out RESULT.csv
    it makes a card for each order in the file; the same command goes on where that broke off.
    """
    stock = StockCard(
        transport_secrets.read_key(transport_key_file), transport_secrets.read_puk(transport_puk_file)
    )
    if (order is None) == (batch is None) or (out is None) != (batch is None):
        raise click.UsageError("give an ORDER, or --batch with --out")
    if uid is not None and (batch is not None or uid_reader is not None):
        raise click.UsageError("a --uid is that of one card; give it without --batch and --uid-reader")
    if (uid is not None or uid_reader is not None) and (is_given_up or is_reset):
        raise click.UsageError("a UID is that of a card which is being made")
    if batch is not None and out is not None:
        if not readers or is_given_up or is_reset:
            raise click.UsageError("a batch takes one --reader or more, and neither --give-up nor --reset")
        _make_batch(directory, readers, uid_reader, batch, out, stock, wait_s, as_json)
        return
    if order is None:
        raise AssertionError("an order without a batch is checked above")
    if len(readers) != (0 if is_given_up else 1) or (is_given_up and is_reset):
        raise click.UsageError("give one --reader for a card, or --give-up for none")
    with common.open_agent(directory) as agent:
        if is_given_up:
            state = give_up(agent, order)
            common.show(as_json, {"order": order, "state": state}, [f"Given up; the card is {state}."])
        elif is_reset:
            state = _reset(agent, order, readers[0], stock, wait_s)
            common.show(as_json, {"order": order, "state": state}, ["The card is blank again."])
        else:
            done = _make(agent, order, readers[0], stock, uid, uid_reader, wait_s)
            common.show(as_json, _json(done), _lines(done))


def _make(
    agent: Agent,
    order: UUID,
    reader: str,
    stock: StockCard,
    uid: bytes | None,
    uid_reader: str | None,
    wait_s: float,
) -> Personalised:
    with common.readers() as readers:
        connection = readers.connect(reader, wait_s=wait_s)
        return personalise_card(
            agent,
            connection,
            order,
            stock.management_key,
            _tell_stage,
            transport_puk=stock.puk,
            uid=uid,
            hold=_hold(readers, uid_reader, wait_s),
        )


def _hold(readers: "SlotReaders", reader: str | None, wait_s: float) -> HoldCard | None:
    """Asks for the card that was made on the reader without contact, which is to tell its UID."""
    if reader is None:
        return None

    def hold() -> CardConnection:
        _remark(f"Hold the card to {reader}.")
        return readers.connect(reader, wait_s=wait_s)

    return hold


def _reset(agent: Agent, order: UUID, reader: str, stock: StockCard, wait_s: float) -> str:
    with common.readers() as readers:
        connection = readers.connect(reader, wait_s=wait_s)
        return reset_card(agent, connection, order, stock.management_key, stock.puk)


def _make_batch(
    directory: Path,
    names: tuple[str, ...],
    uid_reader: str | None,
    batch: Path,
    out: Path,
    stock: StockCard,
    wait_s: float,
    as_json: bool,
) -> None:
    orders = read_stock(batch, stock)
    with (
        common.open_agent(directory) as agent,
        common.feeder(names, wait_s) as cards,
        common.readers() as readers,
        ResultFile(out) as results,
        click.progressbar(length=len(orders), label="cards", file=sys.stderr) as bar,
    ):

        def progress(done: int) -> None:
            bar.update(done - bar.pos)

        summary = run_batch(
            agent, orders, cards, results, progress, _remark, _hold(readers, uid_reader, wait_s)
        )
    common.show(as_json, summary.as_json(), _batch_lines(summary, out))
    if not summary.is_complete:
        raise SystemExit(common.STATUS_ERROR)


def _tell_stage(stage: Stage) -> None:
    # Not on standard output, which scripts read.
    click.echo(f"  {stage.replace('_', ' ')}", err=True)


def _remark(text: str) -> None:
    # On a line of its own, below the bar
    click.echo(f"\n{text}", err=True)


def _json(done: Personalised) -> dict[str, object]:
    return {"order": done.order, "card": done.card, "state": done.state, "initial_pin": done.initial_pin}


def _lines(done: Personalised) -> list[str]:
    lines = [f"The card {done.card} is {done.state}."]
    if done.initial_pin is not None:
        lines.append(f"Its first PIN is {done.initial_pin}: tell the holder alone; it is shown this once.")
    return lines


def _batch_lines(summary: Summary, out: Path) -> list[str]:
    lines = [f"{summary.made} made, {summary.failed} failed, {summary.left} left; see {out}"]
    if not summary.is_complete:
        lines.append("Run the same command again for the rest.")
    return lines
