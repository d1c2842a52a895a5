"""A proof that a transaction is in its sealed day, for whoever wants to check it without the service."""

from cardservice.authorisation.tree_heads import TreeHeads
from cardservice.context import Context
from cardservice.ids import TransactionId
from cardservice.ledger.closing.inclusion import Inclusion, check_inclusion
from cardservice.ledger.closing.proving import open_leaf


def prove_inclusion(context: Context, transaction_id: TransactionId) -> Inclusion:
    """The proof, checked before anybody is given it.

    Raises what `open_leaf` does; InclusionInvalid, and LookupError where the signer's certificate is gone.
    """
    with context.database.reading() as connection:
        opened = open_leaf(connection, transaction_id)
    signer = TreeHeads(context).certificate_of(opened.seal.signed)
    proof = Inclusion(
        scheme=context.scheme.id,
        transaction_id=transaction_id,
        sequence=opened.sequence,
        salt=opened.salt,
        content=opened.content,
        path=opened.path,
        head=opened.seal.signed,
        signer=signer,
        issuer=context.issuer_of(signer),
    )
    check_inclusion(proof, context.certificates["root"])
    return proof
