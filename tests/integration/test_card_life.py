"""A card's life by the console scripts alone: made with everything, used with its PIN, unblocked."""

import csv
import json
import subprocess
from pathlib import Path

import requests
from PIL import Image

from reader_agent.cardspec.piv import ObjectId
from reader_agent.virtual_card.state import read_memory
from tests.integration.conftest import DESK, DESK_TERMINAL, MOMENT, Council, Person

# Czarna to Chrzanowskiego, 4.00 by the feed (`test_bus_fare.py`)
TRIP = {"from_stop": "100", "to_stop": "117"}


def authorities(council: Council, folder: Path) -> Path:
    """Root and issuing authorities, as the service publishes them."""
    pems = []
    for name in ("root", "cards", "service"):
        der = requests.get(f"{council.stack.origin}/pki/{name}.crt", timeout=30)
        der.raise_for_status()
        (folder / f"{name}.der").write_bytes(der.content)
        pem = subprocess.run(
            ["openssl", "x509", "-inform", "DER", "-in", f"{name}.der"],
            cwd=folder,
            capture_output=True,
            check=True,
        )
        pems.append(pem.stdout)
    (folder / "authorities.pem").write_bytes(b"".join(pems))
    return folder / "authorities.pem"


def ordered(council: Council, name: str) -> tuple[str, dict[str, str]]:
    """A cardholder and the order of a card."""
    holder = council.stack.add_holder(name)
    order = council.stack.run("cardservice", "card", "order", holder, "--kind", "citizen", "--json").json
    return holder, order


def test_a_card_is_made_signs_and_is_unblocked(council: Council, tmp_path: Path) -> None:
    """With a photo on it; the holder signs with the PIN from the desk, forgets it, and comes back."""
    stack, desk = council.stack, str(council.stack.agent(DESK_TERMINAL))
    holder, order = ordered(council, "Morgan Reed")
    Image.effect_noise((600, 800), 60).convert("RGB").save(tmp_path / "photo.jpg")
    stack.run("cardservice", "cardholder", "photo", holder, str(tmp_path / "photo.jpg"))
    card, reader, as_desk = tmp_path / "card.json", ("--reader", DESK), ("--agent", desk, "--json")
    stack.run("reader-agent", "virtual-card", "new", str(card))
    stack.insert(card, council.ports[DESK], "contact")
    try:
        made = stack.run("reader-agent", "personalise", order["order"], *reader, *as_desk).json
        found = stack.run("reader-agent", "info", *reader, "--json").json
        assert set(found["certificates"]) == {"9A", "9C", "9E"}
        assert found["objects"]["5FC108"] == "refused"  # the photo wants the PIN
        (tmp_path / "pin").write_text(made["initial_pin"])
        (tmp_path / "letter").write_text("I declare")
        signing = ("sign", str(tmp_path / "letter"), *reader, "--pin-file", str(tmp_path / "pin"))
        stack.run("reader-agent", *signing, "--certificate-out", str(tmp_path / "signer.crt"))
        (tmp_path / "pin").write_text("000000")
        for _ in range(5):
            refused = stack.attempt("reader-agent", *signing, "--out", str(tmp_path / "none.sig"))
            assert refused.status == 1
        assert "pin_blocked" in refused.err
        (tmp_path / "new").write_text("24681357")
        unblocking = ("pin", "unblock", *reader, "--desk", desk, "--new-pin-file", str(tmp_path / "new"))
        stack.run("reader-agent", *unblocking)
        (tmp_path / "pin").write_text("24681357")
        stack.run("reader-agent", *signing, "--out", str(tmp_path / "second.sig"))
        conforming = stack.run("reader-agent", "conformance", "--pin-file", str(tmp_path / "pin"), "--json")
        outcomes = {each["name"]: each["outcome"] for each in conforming.json["cards"][0]["checks"]}
        assert outcomes.pop("the reader tells the UID") == "skipped"  # it has contacts
        assert set(outcomes.values()) == {"passed"}
    finally:
        stack.pull(card)
    check_signature(tmp_path)
    check_chain(council, tmp_path)
    assert len(read_memory(card).objects[ObjectId.FACIAL_IMAGE]) <= 12_704


def check_signature(folder: Path) -> None:
    """The letter's, with openssl and the certificate that came with it."""
    key = subprocess.run(
        ["openssl", "x509", "-in", "signer.crt", "-pubkey", "-noout"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    (folder / "signer.pub").write_bytes(key.stdout)
    for signature in ("letter.sig", "second.sig"):
        command = ["openssl", "dgst", "-sha256", "-verify", "signer.pub", "-signature", signature, "letter"]
        subprocess.run(command, cwd=folder, capture_output=True, check=True)


def check_chain(council: Council, folder: Path) -> None:
    """The signer's certificate is the scheme's, by what the service publishes."""
    command = ["openssl", "verify", "-attime", str(int(MOMENT.timestamp()) + 3600), "-purpose", "any"]
    command += ["-CAfile", str(authorities(council, folder)), "signer.crt"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)


def test_a_card_comes_by_post_is_lost_and_replaced(council: Council, tmp_path: Path) -> None:
    """It pays once its code was given; lost, openssl calls it revoked; the new one spends what was left."""
    stack = council.stack
    holder = stack.add_holder("Mary Somerville")
    stack.run("cardservice", "topup", holder, "20.00")
    order = stack.run("cardservice", "card", "order", holder, "--by-post", "--json").json
    first = made_at_the_desk(council, holder, order, tmp_path / "first.json")
    with council.on_the_bus(first):
        assert council.tap(TRIP).json["reason"] == "card_not_active"
    sent = stack.run("cardservice", "card", "dispatch", first.card, "--json").json
    (tmp_path / "code").write_text(sent["code"] + "\n")
    stack.run("cardservice", "card", "activate", first.card, "--code-file", str(tmp_path / "code"))
    with council.on_the_bus(first):
        assert council.tap(TRIP).json["decision"] == "approved"
    left = council.prepaid(first)
    assert 0 < left < 2000
    certificate = stack.run("cardservice", "card", "show", first.card, "--json").json["certificate"]
    (tmp_path / "card.crt").write_text(certificate)
    assert is_revoked(council, tmp_path) is False
    stack.run("cardservice", "card", "report", first.card, "lost", "--reason", "told by telephone")
    with council.on_the_bus(first):
        assert council.tap(TRIP).json["reason"] == "card_revoked"
    assert is_revoked(council, tmp_path) is True
    order = stack.run("cardservice", "card", "replace", first.card, "--json").json
    second = made_at_the_desk(council, holder, order, tmp_path / "second.json")
    assert council.prepaid(second) == left
    with council.on_the_bus(second):
        assert council.tap(TRIP).json["decision"] == "approved"
    with council.on_the_bus(first):
        assert council.tap(TRIP).json["reason"] == "card_revoked"
    council.verify_ledger()


def made_at_the_desk(council: Council, holder: str, order: dict[str, str], file: Path) -> Person:
    """The card of an order, personalised."""
    stack, desk = council.stack, str(council.stack.agent(DESK_TERMINAL))
    stack.run("reader-agent", "virtual-card", "new", str(file))
    stack.insert(file, council.ports[DESK], "contact")
    try:
        stack.run("reader-agent", "personalise", order["order"], "--reader", DESK, "--agent", desk)
    finally:
        stack.pull(file)
    return Person(holder, order["card"], file)


def is_revoked(council: Council, folder: Path) -> bool:
    """What openssl says of card.crt by the list that the service publishes now."""
    der = requests.get(f"{council.stack.origin}/pki/cards.crl", timeout=30)
    der.raise_for_status()
    (folder / "cards.crl").write_bytes(der.content)
    converted = ["openssl", "crl", "-inform", "DER", "-in", "cards.crl", "-out", "cards.crl.pem"]
    subprocess.run(converted, cwd=folder, capture_output=True, check=True)
    command = ["openssl", "verify", "-attime", str(int(MOMENT.timestamp()) + 7200), "-crl_check"]
    command += ["-CAfile", str(authorities(council, folder)), "-CRLfile", "cards.crl.pem", "card.crt"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is not ("certificate revoked" in done.stderr), done.stderr
    return done.returncode != 0


def test_a_batch_is_made(council: Council, tmp_path: Path) -> None:
    """One order, one card, one line; run again, nothing is left to do."""
    stack, desk = council.stack, str(council.stack.agent(DESK_TERMINAL))
    _, order = ordered(council, "Ada Byron")
    (tmp_path / "stock.csv").write_text(f"order\n{order['order']}\n")
    card = tmp_path / "card.json"
    stack.run("reader-agent", "virtual-card", "new", str(card))
    stack.insert(card, council.ports[DESK], "contact")
    batch = ("--batch", str(tmp_path / "stock.csv"), "--out", str(tmp_path / "result.csv"))
    options = ("--reader", DESK, "--agent", desk, "--json")
    try:
        for _ in range(2):
            done = stack.run("reader-agent", "personalise", *batch, *options)
            assert json.loads(done.out) == {"made": 1, "failed": 0, "left": 0}
    finally:
        stack.pull(card)
    with (tmp_path / "result.csv").open(encoding="utf-8", newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["order"], line["card"], line["outcome"]) == (order["order"], order["card"], "made")


def test_a_card_becomes_blank_again(council: Council, tmp_path: Path) -> None:
    """Made blank before its order is done with, and made anew under another."""
    stack, desk = council.stack, str(council.stack.agent(DESK_TERMINAL))
    _, first = ordered(council, "Grace Hopper")
    _, second = ordered(council, "Edsger Dijkstra")
    card, options = tmp_path / "card.json", ("--reader", DESK, "--agent", desk, "--json")
    stack.run("reader-agent", "virtual-card", "new", str(card))
    stack.insert(card, council.ports[DESK], "contact")
    try:
        reset = stack.run("reader-agent", "personalise", first["order"], "--reset", *options)
        assert reset.json["state"] == "revoked"
        made = stack.run("reader-agent", "personalise", second["order"], *options)
        assert (made.json["card"], made.json["state"]) == (second["card"], "active")
    finally:
        stack.pull(card)
