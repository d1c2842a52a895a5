"""Sign-in by a staff card: its authentication key signs the service's challenge, its certificate says who.

What is signed names the origin that the person believes to be at: who stands in between with another name
gets a signature that is good for nothing here.
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cardservice.context import Context
from cardservice.pki_store.publication import published
from cardservice.staff.challenges import SIGN_IN, spend
from cardservice.staff.errors import SignInRefused
from cardservice.staff.service import Person, find_person, public_key_of
from pki.errors import PkiError
from pki.staff_sign_in import signing_input
from pki.verification import Purpose, verify

# Ours: a certificate of the staff profile is under a kilobyte.
MAX_CERTIFICATE_BYTES, MAX_SIGNATURE_BYTES = 4096, 80
_OTHERS = ("cards", "terminals")


def sign_in(context: Context, challenge: bytes, certificate: bytes, signature: bytes) -> Person:
    """Who holds the card. Raises SignInRefused.

    The certificate must hold for the purpose `staff` at this moment, by the chain and the revocation list of
    now, and be the one that the account has; a card that was replaced signs nobody in.
    """
    spend(context, challenge, SIGN_IN)
    try:
        leaf = x509.load_der_x509_certificate(certificate)
        others = {issuer for name in _OTHERS for issuer in context.pki.issuers(name)}
        lists = [x509.load_der_x509_crl(der) for der in published(context, others).crls.values()]
        trust = context.pki.trust_store().with_crls(lists)
        verified = verify(leaf, Purpose.STAFF, context.now(), trust)
    except (ValueError, PkiError) as error:
        raise SignInRefused(f"certificate: {error}") from error
    try:
        payload = signing_input(context.settings.public_origin, challenge)
        verified.public_key.verify(signature, payload, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise SignInRefused("the signature is not of the certificate's key over this challenge") from error
    with context.database.reading() as connection:
        person = find_person(connection, verified.identity)
        known = public_key_of(connection, verified.identity, context.now())
    if person is None or not person.is_active or known != verified.public_key:
        raise SignInRefused("a certificate that is not the account's, or of one that is disabled")
    return person
