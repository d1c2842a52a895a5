"""The kinds of end-entity certificates, declared once."""

from cryptography.x509.oid import ExtendedKeyUsageOID

from pki.profiles import oids
from pki.profiles.model import CONTENT_COMMITMENT, DIGITAL_SIGNATURE, ROOT, Profile, Stated
from pki.profiles.naming import CARD, HOLDER, HOST, PROGRAM

CARDS, TERMINALS, SERVICES = "cards", "terminals", "service"

_YEAR_DAYS = 365
_PROGRAM_KEY = Stated("P-256", "ours; FIPS 186-5, 6.1.1")
_SIGNS = Stated((DIGITAL_SIGNATURE,), "RFC 5280, 4.2.1.3")
_CARD_YEARS = Stated(5 * _YEAR_DAYS, "ours; FIPS 201-3, 2.8 allows a card six years at most")
_TWO_YEARS = Stated(2 * _YEAR_DAYS, "ours")

CARD_AUTHENTICATION = Profile(
    name="card-authentication",
    purpose="key 9E: proves that the card is there, at every tap",
    authorities=(CARDS,),
    key=Stated("P-256", "SP 800-78-5, 3.1, table 1"),
    key_usage=Stated((DIGITAL_SIGNATURE,), "FIPS 201-3, 4.2.2.2; RFC 5280, 4.2.1.3"),
    # id-PIV-cardAuth alone
    extended_key_usages=Stated((oids.PIV_CARD_AUTH,), "FIPS 201-3, 4.2.2.2; RFC 5280, 4.2.1.12"),
    own_extended_key_usage=None,
    extended_key_usage_critical=True,
    validity=_CARD_YEARS,
    naming=CARD,
    has_status_index=True,
)
HOLDER_AUTHENTICATION = Profile(
    name="holder-authentication",
    purpose="key 9A: the holder signs in, with the PIN",
    authorities=(CARDS,),
    key=Stated("P-256", "SP 800-78-5, 3.1, table 1"),
    key_usage=Stated((DIGITAL_SIGNATURE,), "FIPS 201-3, 4.2.2.1; RFC 5280, 4.2.1.3"),
    extended_key_usages=Stated((ExtendedKeyUsageOID.CLIENT_AUTH,), "RFC 5280, 4.2.1.12; own: ours"),
    own_extended_key_usage=oids.HOLDER_SIGN_IN,
    extended_key_usage_critical=False,
    validity=_CARD_YEARS,
    # Whom a website sees by TLS is a card; the account behind it is the service's knowledge
    naming=CARD,
    has_status_index=True,
)
SIGNATURE = Profile(
    name="signature",
    purpose="key 9C: the holder signs a declaration, with the PIN each time",
    authorities=(CARDS,),
    key=Stated("P-256", "SP 800-78-5, 3.1, table 1"),
    key_usage=Stated((DIGITAL_SIGNATURE, CONTENT_COMMITMENT), "FIPS 201-3, 4.2.2.4; RFC 5280, 4.2.1.3"),
    extended_key_usages=Stated((oids.DOCUMENT_SIGNING,), "RFC 9336, 3; own: ours"),
    own_extended_key_usage=oids.HOLDER_SIGNATURES,
    extended_key_usage_critical=False,
    validity=_CARD_YEARS,
    naming=HOLDER,
    has_status_index=True,
)
TERMINAL = Profile(
    name="terminal",
    purpose="a terminal signs its requests, and is a TLS client",
    authorities=(TERMINALS,),
    key=_PROGRAM_KEY,
    key_usage=_SIGNS,
    extended_key_usages=Stated((ExtendedKeyUsageOID.CLIENT_AUTH,), "RFC 5280, 4.2.1.12; own: ours"),
    own_extended_key_usage=oids.TERMINAL_REQUESTS,
    extended_key_usage_critical=False,
    validity=_TWO_YEARS,
    naming=PROGRAM,
)
SERVICE = Profile(
    name="service",
    purpose="the service signs its answers",
    authorities=(SERVICES,),
    key=_PROGRAM_KEY,
    key_usage=_SIGNS,
    # Nothing but a reader of our answers has a use for it: critical
    extended_key_usages=Stated((), "ours; RFC 5280, 4.2.1.12"),
    own_extended_key_usage=oids.ANSWERS,
    extended_key_usage_critical=True,
    validity=_TWO_YEARS,
    naming=PROGRAM,
)
STAFF = Profile(
    name="staff",
    purpose="a member of staff signs in to the console",
    authorities=(SERVICES,),
    key=_PROGRAM_KEY,
    key_usage=_SIGNS,
    extended_key_usages=Stated((ExtendedKeyUsageOID.CLIENT_AUTH,), "RFC 5280, 4.2.1.12; own: ours"),
    own_extended_key_usage=oids.STAFF_SIGN_IN,
    extended_key_usage_critical=False,
    validity=Stated(_YEAR_DAYS, "ours"),
    naming=PROGRAM,
)
CONTENT_SIGNER = Profile(
    name="content-signer",
    purpose="signs a card's CHUID and security object",
    authorities=(SERVICES,),
    key=Stated("P-256", "SP 800-78-5, 3.2, table 2"),
    key_usage=_SIGNS,
    # id-PIV-content-signing
    extended_key_usages=Stated((oids.PIV_CONTENT_SIGNING,), "FIPS 201-3, 4.2.1; RFC 5280, 4.2.1.12"),
    own_extended_key_usage=None,
    extended_key_usage_critical=True,
    validity=Stated(9 * _YEAR_DAYS, "FIPS 201-3, 4.2.1: it outlives what it signs"),
    naming=PROGRAM,
)
OCSP_RESPONDER = Profile(
    name="ocsp-responder",
    purpose="signs answers about the status of an authority's certificates",
    # RFC 6960, 4.2.2.2: issued by the very authority that it speaks for
    authorities=(ROOT, CARDS, TERMINALS, SERVICES),
    key=_PROGRAM_KEY,
    key_usage=_SIGNS,
    extended_key_usages=Stated((ExtendedKeyUsageOID.OCSP_SIGNING,), "RFC 6960, 4.2.2.2"),
    own_extended_key_usage=None,
    extended_key_usage_critical=False,
    # RFC 6960, 4.2.2.2.1: short-lived, since it cannot be revoked
    validity=Stated(30, "RFC 6960, 4.2.2.2.1: short, as nobody looks for its revocation"),
    naming=PROGRAM,
    no_status=True,
)
STATEMENT_SIGNER = Profile(
    name="statement-signer",
    purpose="signs entitlements and status lists, which terminals verify offline",
    authorities=(SERVICES,),
    key=_PROGRAM_KEY,
    key_usage=_SIGNS,
    extended_key_usages=Stated((), "ours; RFC 5280, 4.2.1.12"),
    own_extended_key_usage=oids.STATEMENTS,
    extended_key_usage_critical=True,
    # An entitlement of its last day must hold as long as the card
    validity=Stated(9 * _YEAR_DAYS, "ours: it outlives the cards that carry its statements"),
    naming=PROGRAM,
)
TRUST_LIST_SIGNER = Profile(
    name="trust-list-signer",
    purpose="signs the list of other schemes' authorities that are recognised here",
    # The root itself: whoever has stolen an issuing authority's key must not be able to recognise others
    authorities=(ROOT,),
    key=_PROGRAM_KEY,
    key_usage=_SIGNS,
    extended_key_usages=Stated((), "ours; RFC 5280, 4.2.1.12"),
    own_extended_key_usage=oids.TRUST_LISTS,
    extended_key_usage_critical=True,
    validity=_TWO_YEARS,
    naming=PROGRAM,
)
TLS_SERVER = Profile(
    name="tls-server",
    purpose="a server inside the scheme's own network",
    authorities=(SERVICES,),
    key=_PROGRAM_KEY,
    key_usage=Stated((DIGITAL_SIGNATURE,), "RFC 8446, 4.4.2.2; RFC 5280, 4.2.1.3"),
    extended_key_usages=Stated((ExtendedKeyUsageOID.SERVER_AUTH,), "RFC 5280, 4.2.1.12"),
    own_extended_key_usage=None,
    extended_key_usage_critical=False,
    validity=Stated(_YEAR_DAYS, "ours"),
    naming=HOST,
)

LEAVES = (
    *(CARD_AUTHENTICATION, HOLDER_AUTHENTICATION, SIGNATURE),
    *(TERMINAL, SERVICE, STAFF, CONTENT_SIGNER, STATEMENT_SIGNER, TLS_SERVER),
    *(OCSP_RESPONDER, TRUST_LIST_SIGNER),
)
