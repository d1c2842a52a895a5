"""`cardservice ledger prove` and `check-proof`, on both databases, and the lines of docs/proofs.md."""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import cbor2
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select, text

from cardservice.audit.models import audit
from cardservice.authorisation.inclusions import prove_inclusion
from cardservice.cli import main
from cardservice.errors import TransactionUnknown
from cardservice.ids import TransactionId
from cardservice.ledger.closing.inclusion import check_inclusion, read_inclusion, write_inclusion
from cardservice.ledger.closing.seals import forget_leaves, seal_days
from cardservice.ledger.closing.sequencing import sequence
from cardservice.ledger.errors import InclusionInvalid, LeafErased, NotSealed, SealBroken
from pki.clock import OFFSET_VARIABLE, system_clock
from pki.statements import TreeHead, decode_deterministic
from tests.cardservice.commands.test_erasing import URL, environment
from tests.cardservice.ledger.test_sequencing import calendar
from tests.cardservice.ledger.test_verify import unguarded
from tests.support.council import FARE_MINOR, START, Card, Council, message, new_id, request_for
from tests.support.databases import DatabaseUrls

__all__ = ["environment"]

PAGE = Path(__file__).parents[3] / "docs" / "proofs.md"
Invoke = Callable[..., Result]


@pytest.fixture
def invoke(council: Council, environment: dict[str, str]) -> Invoke:
    """Runs a command of `ledger` at the test's now."""
    offset = str((council.clock() - system_clock()()).total_seconds())
    return lambda *command: CliRunner().invoke(
        main, ["ledger", *map(str, command)], env=environment | {OFFSET_VARIABLE: offset}
    )


@pytest.fixture
def card(council: Council) -> Card:
    """A card with money, whose fares are read by one validator."""
    return council.card(top_up_minor=5_000)


@pytest.fixture
def fares(council: Council, card: Card) -> list[UUID]:
    """Two fares of one day, with a top-up before: three leaves."""
    bus = council.terminal("bus-12")
    paid = [request_for(bus, card) for _ in range(2)]
    for fare in paid:
        assert bus.post(URL, message(fare, card)).status == 200
    return [fare.id for fare in paid]


@pytest.fixture
def root(council: Council, tmp_path: Path) -> Path:
    """The scheme's root, as one has it from elsewhere."""
    path = tmp_path / "root.crt"
    path.write_bytes(council.context.certificates["root"].public_bytes(Encoding.PEM))
    return path


def sealed(council: Council) -> None:
    """The day is over, and sealed."""
    council.clock.advance(days=1)
    context = council.context
    assert seal_days(context.database, calendar(context.now()), context.scheme.id, context.keys)


def refusal(result: Result) -> str:
    """What a command said when it would not."""
    assert result.exit_code == 1, result.output
    return result.stderr


def proven(council: Council, transaction: UUID) -> dict[str, Any]:
    """The members of a proof's file."""
    found: dict[str, Any] = json.loads(
        write_inclusion(prove_inclusion(council.context, TransactionId(transaction)))
    )
    return found


def checked(proof: dict[str, Any], root: x509.Certificate) -> TreeHead | None:
    """The head that a file's members lead to; None where they are refused."""
    try:
        return check_inclusion(read_inclusion(json.dumps(proof).encode()), root)
    except InclusionInvalid:
        return None


def independently(folder: Path, proof: dict[str, Any]) -> bool:
    """Whether the very lines of the page, without our code, find that a proof holds."""
    [lines] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert not re.search(r"^\s*(from|import) (cardservice|pki)", lines, re.MULTILINE)
    (folder / "lines.py").write_text(lines, encoding="utf-8")
    (folder / "inclusion.json").write_text(json.dumps(proof), encoding="utf-8")
    try:
        runpy.run_path(str(folder / "lines.py"))
    except (SystemExit, InvalidSignature, ValueError, TypeError, KeyError, cbor2.CBORError):
        return False
    return True


def same_names_another_key(root: x509.Certificate) -> x509.Certificate:
    """A root that differs from the scheme's in its key alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        root.issuer,
        root.subject,
        key.public_key(),
        root.serial_number,
        root.not_valid_before_utc,
        root.not_valid_after_utc,
    )
    for extension in root.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(key, hashes.SHA256())


def turned(value: str, at: int = 5) -> str:
    """With one bit of these bytes turned."""
    raw = bytearray.fromhex(value)
    raw[at] ^= 1
    return raw.hex()


def turned_certificate(pem: str) -> str:
    """With the last bit of the signature turned."""
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    changed = x509.load_der_x509_certificate(der[:-1] + bytes([der[-1] ^ 1]))
    return changed.public_bytes(Encoding.PEM).decode()


def in_each_part(proof: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The proof with one bit turned in each of its parts."""
    path = proof["path"]
    changed: dict[str, Any] = {
        "scheme": "ashcomce",
        "transaction": str(UUID(int=UUID(proof["transaction"]).int ^ 1)),
        "sequence": proof["sequence"] ^ 1,
        "salt": turned(proof["salt"]),
        # In the transaction, and in the signature at the end of a head
        "content": turned(proof["content"], len(proof["content"]) // 4),
        "head": turned(proof["head"], -1),
        "signer": turned_certificate(proof["signer"]),
        "issuer": turned_certificate(proof["issuer"]),
    }
    variants = {name: proof | {name: value} for name, value in changed.items()}
    variants["payload"] = proof | {"head": turned(proof["head"], len(proof["head"]) // 4)}
    for place in range(len(path)):
        siblings = [turned(found) if at == place else found for at, found in enumerate(path)]
        variants[f"path {place}"] = proof | {"path": siblings}
    variants["path too long"] = proof | {"path": [*path, path[0]]}
    variants["path too short"] = proof | {"path": path[:-1]}
    return variants


def test_a_proof_holds_and_one_bit_turned_in_any_part_is_refused(
    council: Council, card: Card, fares: list[UUID], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By our check, and by the lines of the page."""
    sealed(council)
    proof, trusted = proven(council, fares[0]), council.context.certificates["root"]
    content = decode_deterministic(bytes.fromhex(proof["content"]))
    assert isinstance(content, dict)
    assert content["transaction"]["amount_minor"] == FARE_MINOR
    monkeypatch.chdir(root.parent)
    head = checked(proof, trusted)
    assert head is not None
    assert (head.day, head.size) == (START.date(), 3)
    assert independently(root.parent, proof)
    for part, changed in in_each_part(proof).items():
        assert checked(changed, trusted) is None, part
        assert not independently(root.parent, changed), part
    assert checked(proof, same_names_another_key(trusted)) is None

    bus = council.terminal("bus-13")
    later = request_for(bus, card)
    assert bus.post(URL, message(later, card)).status == 200
    sealed(council)
    other = proven(council, later.id)
    assert checked(other, trusted) is not None
    for mixed in (proof | {"head": other["head"]}, other | {"head": proof["head"]}):
        assert checked(mixed, trusted) is None
        assert not independently(root.parent, mixed)


def test_the_commands(council: Council, fares: list[UUID], root: Path, invoke: Invoke) -> None:
    """What is read is in the audit log; the check wants no settings."""
    file = root.parent / "inclusion.json"
    assert "not been sealed yet" in refusal(invoke("prove", fares[0], "--out", file))
    sealed(council)
    written = invoke("prove", fares[0], "--out", file, "--json")
    assert json.loads(written.stdout)["file"] == str(file), written.output
    assert "exists already" in refusal(invoke("prove", fares[0], "--out", file))
    assert "looks like" in refusal(invoke("prove", "fare"))
    with council.context.database.reading() as connection:
        noted = connection.scalars(select(audit.c.subject).where(audit.c.action == "ledger.prove")).all()
    assert noted == [str(fares[0])] * 2

    check = ("ledger", "check-proof", str(file), "--root", str(root))
    done = CliRunner().invoke(main, [*check, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["transaction"], found["day"]) == (str(fares[0]), START.date().isoformat())
    proof = json.loads(file.read_text())
    file.write_text(json.dumps(proof | {"salt": turned(proof["salt"])}))
    assert "does not lead" in refusal(CliRunner().invoke(main, check))
    for name in ("prove", "check-proof"):
        assert "Examples:" in CliRunner().invoke(main, ["ledger", name, "--help"]).stdout


def test_what_cannot_be_proven_says_why(
    council: Council, fares: list[UUID], card: Card, database_urls: DatabaseUrls
) -> None:
    """Unknown, not sealed before or after it has a number, erased, and changed since."""
    context = council.context
    with pytest.raises(TransactionUnknown):
        proven(council, new_id())
    with pytest.raises(NotSealed, match="its day"):
        proven(council, fares[0])
    assert sequence(context.database, calendar(context.now())) == 3
    with pytest.raises(NotSealed, match=str(START.date())):
        proven(council, fares[0])
    sealed(council)
    with context.database.begin() as connection:
        first, keys = [TransactionId(fares[0])], context.keys
        assert forget_leaves(connection, card.payer, first, context.now(), "ashcombe", keys) == 1
    with pytest.raises(LeafErased, match=f"erased on {context.now().date()}"):
        proven(council, fares[0])
    assert proven(council, fares[1])["transaction"] == str(fares[1])
    name = fares[1].hex if database_urls.kind == "sqlite" else str(fares[1])
    with unguarded(database_urls) as connection:
        changed = text("UPDATE transfer SET amount_minor = amount_minor + 1 WHERE transaction_id = :id")
        assert connection.execute(changed, {"id": name}).rowcount == 1
    with pytest.raises(SealBroken):
        proven(council, fares[1])


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b"null", b"[" * 100_000, b" " * 300_000])
def test_what_is_no_proof_is_refused(data: bytes) -> None:
    with pytest.raises(InclusionInvalid):
        read_inclusion(data)
