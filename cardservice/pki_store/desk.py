"""The scheme's status desk over the service's database: lists, OCSP, status lists."""

from collections.abc import Iterator
from contextlib import contextmanager

from cardservice.context import Context
from cardservice.pki_store.publication import OURS
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.authority import Authority
from pki.published import PublishedScheme
from pki.status_desk import Records, StatusDesk
from pki.store import CertificateStore


def open_desk(context: Context) -> PublishedScheme:
    """What the scheme publishes, of an open service; to be made once for a process.

    Who signs answers and status lists is certified by the service's authorities when that is first needed.
    """

    @contextmanager
    def read(_: str) -> Iterator[CertificateStore]:
        with context.database.reading() as connection:
            yield DatabaseCertificateStore(connection)

    @contextmanager
    def change(name: str) -> Iterator[Authority]:
        with context.database.begin() as connection:
            yield context.authority(name, connection)

    issuers = {issuer: name for name in OURS for issuer in context.pki.issuers(name)}
    desk = StatusDesk(
        issuers,
        Records(read=read, change=change),
        context.keys.store,
        context.pki.public_url,
        context.now,
    )
    return PublishedScheme(context.pki.issuer_certificates, desk, context.pki.public_dir)
