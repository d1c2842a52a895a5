"""UIDs on the command line; and `status`: whether a card is good of which nothing else can be seen."""

from pathlib import Path
from typing import Final

import click

from pki.status_list import CardStatus
from reader_agent.commands import common
from reader_agent.errors import UidMissing
from reader_agent.transport.uid import UID_BYTES, is_kept, read_uid

_SAID: Final = {CardStatus.VALID: "good", CardStatus.SUSPENDED: "suspended", CardStatus.INVALID: "revoked"}


class UidType(click.ParamType[bytes]):
    """A UID in hex. ISO/IEC 14443-3:2018, 6.5.4."""

    name = "hex"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """See click."""
        try:
            uid = bytes.fromhex(str(value))
        except ValueError:
            uid = b""
        if len(uid) not in UID_BYTES:
            self.fail("a UID has 4, 7 or 10 bytes, in hex", param, ctx)
        return uid


@click.command()
@common.agent_option
@click.option("--reader", help="a contactless reader's name, or its beginning")
@click.option("--uid", type=UidType(), help="in hex, where another program has read it")
@common.wait_option
@common.as_json_option
@common.telling_errors
def status(directory: Path, reader: str | None, uid: bytes | None, wait_s: float, as_json: bool) -> None:
    """Tell by its UID alone whether a card is good: exit status 0 if it is, 3 if it is not.

    For doors and printers, whose readers see nothing else. A UID can be copied: let nobody pay by it.
    """
    if reader is not None and uid is None:
        uid = _read(reader, wait_s)
    elif uid is None or reader is not None:
        raise click.UsageError("give --reader, or --uid")
    with common.open_agent(directory) as agent:
        found = agent.status_of_uid(uid)
    said = _SAID[found]
    common.show(as_json, {"status": said}, [f"The card is {said}."])
    if found is not CardStatus.VALID:
        raise SystemExit(common.STATUS_NOT_GOOD)


def _read(reader: str, wait_s: float) -> bytes:
    """Raises UidMissing."""
    with common.readers() as readers:
        connection = readers.connect(reader, wait_s=wait_s)
        try:
            with connection.transaction():
                uid = read_uid(connection)
        finally:
            connection.close()
    if uid is None or not is_kept(uid):
        raise UidMissing("this reader tells no UID of the card that lasts; use a contactless one")
    return uid
