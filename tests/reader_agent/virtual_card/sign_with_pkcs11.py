"""Signs with python-pkcs11, without login; a program of its own, since a PKCS#11 module is loaded once.

    python sign_with_pkcs11.py MODULE SLOT-DESCRIPTION FILE SIGNATURE

writes the DER signature over the SHA-256 of a file by the one private key that is there without a PIN, and
prints that key's id.
"""

import hashlib
import sys
from pathlib import Path

import pkcs11
from pkcs11.util.ec import encode_ecdsa_signature


def main(module: str, description: str, file: str, signature: str) -> None:
    """See above."""
    (slot,) = [
        slot
        for slot in pkcs11.lib(module).get_slots(token_present=True)
        if slot.slot_description.strip() == description
    ]
    with slot.get_token().open() as session:
        keys = session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY})
        (key,) = keys
        assert isinstance(key, pkcs11.PrivateKey)
        assert isinstance(key, pkcs11.SignMixin)
        digest = hashlib.sha256(Path(file).read_bytes()).digest()
        raw = key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
        Path(signature).write_bytes(encode_ecdsa_signature(raw))
        print(key.id.hex())


if __name__ == "__main__":
    main(*sys.argv[1:])
