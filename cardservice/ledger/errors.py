"""What can go wrong in the ledger, other than the outcomes that a posting answers."""

from collections.abc import Collection, Sequence
from datetime import date

from cardservice.errors import CardServiceError


class LedgerError(CardServiceError):
    """Base of the ledger's errors."""

    code = "ledger_error"


class PostingInvalid(LedgerError, ValueError):
    """A posting that no state of the database could make right: the program that built it is at fault."""

    code = "posting_invalid"


class PostingRefused(LedgerError):
    """The database refused a posting that the checks before it had let through; nothing of it was stored."""

    code = "posting_refused"


class PayerUnknown(LedgerError):
    """No such payer, or the cardholder has none."""

    code = "payer_unknown"


class BackdatedPayer(LedgerError):
    """A change of payer would take effect before it was made, or before the last one."""

    code = "backdated_payer"


class ProofErased(LedgerError):
    """The cardholder's key has been destroyed: what it encrypted cannot be read any more, by anybody.

    `erased_on` is the day, where it is known.
    """

    code = "proof_erased"

    def __init__(self, message: str, erased_on: date | None = None) -> None:
        super().__init__(message)
        self.erased_on = erased_on


class KeyVersionMissing(LedgerError):
    """A version of the key-encryption key is not in the service's folder of keys."""

    code = "key_version_missing"

    def __init__(self, version: int) -> None:
        super().__init__(
            f"version {version} of the key that wraps cardholders' keys is not there;"
            " put its file back from a backup"
        )
        self.version = version


class ProofUnreadable(LedgerError):
    """A stored proof does not decrypt: it was changed, or the key is not the one it was sealed under."""

    code = "proof_unreadable"


class ProofMissing(LedgerError):
    """The transaction carries no proof: no card made it, or there is no such transaction."""

    code = "proof_missing"


class SequenceHeld(LedgerError):
    """Another worker is numbering the ledger: there is one at a time."""

    code = "sequence_held"


class DayNotOver(LedgerError):
    """A day is sealed when it is over."""

    code = "day_not_over"


class NotSealed(LedgerError):
    """The transaction's day has not been sealed yet: until then there is nothing to prove by.

    `settles_on` is that day, where it has one.
    """

    code = "not_sealed"

    def __init__(self, transaction: object, settles_on: date | None = None) -> None:
        day = "its day" if settles_on is None else str(settles_on)
        super().__init__(f"{transaction} has not been sealed yet; ask again when {day} has been")
        self.settles_on = settles_on


class LeafErased(LedgerError):
    """The salt of the transaction's leaf has been erased: nobody can tell any more what it was of.

    `erased_on` is the day, where it is known.
    """

    code = "leaf_erased"

    def __init__(self, transaction: object, erased_on: date | None = None) -> None:
        when = "" if erased_on is None else f" on {erased_on}"
        super().__init__(f"what proves {transaction} was erased{when}, for good; the day's seal still holds")
        self.erased_on = erased_on


class SealBroken(LedgerError):
    """The transaction or its day's tree is no more what was sealed."""

    code = "seal_broken"

    def __init__(self, transaction: object, day: date) -> None:
        super().__init__(
            f"{transaction} is not what was sealed of {day}; run `cardservice ledger verify --whole`"
        )
        self.day = day


class InclusionInvalid(LedgerError, ValueError):
    """A proof of inclusion does not hold, or is none."""

    code = "inclusion_invalid"


class ResourceTaken(LedgerError):
    """There is too little left of a resource, or none of that name."""

    code = "resource_taken"

    def __init__(self, service: str, key: str) -> None:
        super().__init__(f"nothing is left of {service} {key}")
        self.service, self.key = service, key


class ResourceInvalid(LedgerError):
    """More of a resource is taken than there would be."""

    code = "resource_invalid"


class StatementInvalid(LedgerError, ValueError):
    """A statement of no payer, of no days, or from a place that is none."""

    code = "statement_invalid"


class NotForClusters(LedgerError):
    """A function of this revision does not mark what is another on a cluster, and the ledger lies on one."""

    code = "not_for_clusters"

    def __init__(self, function: str) -> None:
        super().__init__(
            f"{function} as this revision has it cannot be brought to a cluster: nothing was changed;"
            " stay at the revision before, and report it"
        )


class NodeAway(LedgerError):
    """A node of the cluster does not answer: what needs all of them waits, what needs others goes on."""

    code = "node_away"

    def __init__(self, nodes: Sequence[int]) -> None:
        super().__init__(f"nodes {', '.join(map(str, nodes))} of the cluster do not answer; bring them back")
        self.nodes = tuple(nodes)


class NodeHangs(LedgerError):
    """What was asked for was given up, since a node of the cluster took it and did not answer."""

    code = "unavailable"

    def __init__(self, nodes: Collection[str]) -> None:
        super().__init__(
            f"the ledger's node {', '.join(sorted(nodes))} does not answer; send the same request again"
        )
        self.nodes = frozenset(nodes)


class NoCluster(LedgerError):
    """The database is no Citus cluster's coordinator."""

    code = "no_cluster"


class CannotDivide(LedgerError):
    """The ledger cannot be divided by months as it lies."""

    code = "ledger_not_divided"
