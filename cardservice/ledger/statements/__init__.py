"""Account statements: what moved a payer's money, in the order of the ledger sequence, page by page.

A statement goes by the day that an entry settles on. Numbers only grow, in the order of days: whatever is
posted while somebody turns pages comes after what they have read, so that pages join without gap or repeat.
What has no number yet is told apart.

The payer's own accounts alone have a say: what else pays for a sale, such as a programme that funds meals, is
in no amount and in no line, and a sale that took nothing of the payer's is none.
"""

from cardservice.ledger.statements.pages import LINES_AT_ONCE, statement_page, statement_pages
from cardservice.ledger.statements.values import (
    Cursor,
    Money,
    Period,
    StatementLine,
    StatementPage,
    Undone,
)

__all__ = [
    "LINES_AT_ONCE",
    "Cursor",
    "Money",
    "Period",
    "StatementLine",
    "StatementPage",
    "Undone",
    "statement_page",
    "statement_pages",
]
