"""Libraries that are not ours, asked whether a COSE_Sign1 verifies."""

import cwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pycose.keys.ec2 import EC2Key
from pycose.messages.sign1message import Sign1Message


def pycose_verifies(raw: bytes, key: ec.EllipticCurvePublicKey, external_aad: bytes = b"") -> bool:
    """What `pycose` says."""
    numbers = key.public_numbers()
    message = Sign1Message.decode(raw)
    # Its setter is hidden from the type checker by how it is declared.
    message.external_aad = external_aad  # type: ignore[misc]
    message.key = EC2Key(crv="P_256", x=numbers.x.to_bytes(32, "big"), y=numbers.y.to_bytes(32, "big"))
    return bool(message.verify_signature())


def cwt_verifies(raw: bytes, key: ec.EllipticCurvePublicKey, kid: bytes, external_aad: bytes = b"") -> bool:
    """What `cwt` says."""
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        cwt.COSE.new().decode(raw, cwt.COSEKey.from_pem(pem, kid=kid), external_aad=external_aad)
    except cwt.VerifyError:
        return False
    return True
