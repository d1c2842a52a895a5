"""The ledger's own tests, those of posting and of what follows from it, on a Citus cluster.

They are the functions of `tests/cardservice/ledger`, with a database that is divided in the place of theirs.
It is one for all. What needs a ledger to itself (numbers, seals, planted faults) is not among them, and
has its like here.
"""

from collections.abc import Iterator
from inspect import signature
from types import ModuleType

import pytest
from sqlalchemy import create_engine

from cardservice.database import Database, connect, migrate
from cardservice.ledger.distributing import distribute
from tests.cardservice.ledger import (
    conftest,
    test_annulments,
    test_payers,
    test_posting,
    test_rating_groups,
    test_ratings,
    test_reversals,
    test_stateful,
)
from tests.support.citus import Cluster, running_cluster

pytestmark = pytest.mark.long

# With the fixtures that they ask for.
TAKEN: tuple[ModuleType, ...] = (
    *(conftest, test_annulments, test_payers, test_posting, test_rating_groups, test_ratings),
    *(test_reversals, test_stateful),
)
# What is another on a cluster: of a batch that is refused, or a group of ratings, the other shards' rows are
# posted (`test_many`); and what is refused at the very end Citus says in words of its own.
NOT_TAKEN = frozenset(
    {
        "test_one_that_is_refused_takes_the_batch_with_it",
        "test_a_group_that_is_refused_posts_nothing",
        "test_the_tables_keep_it_unique_and_without_a_gap",
    }
)
# What is asked for by a test that opens the database in another way, or is for one kind of it.
OTHERS = frozenset({"opened", "owner_database", "database_urls", "database_kind"})


def _taken(module: ModuleType) -> Iterator[tuple[str, object]]:
    for name, found in vars(module).items():
        is_test = name.startswith("test_") and callable(found) and name not in NOT_TAKEN
        asked = set(signature(found).parameters) | _marked(found) if is_test else set()
        is_fixture = type(found).__name__ == "FixtureFunctionDefinition"
        if is_fixture or (is_test and OTHERS.isdisjoint(asked)):
            yield name, found


def _marked(test: object) -> set[str]:
    """What a test is given by its marks."""
    marks: list[pytest.Mark] = getattr(test, "pytestmark", [])
    return {name for mark in marks if mark.name == "parametrize" for name in str(mark.args[0]).split(",")}


for _module in TAKEN:
    globals().update(_taken(_module))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster with the ledger's tables, divided."""
    with running_cluster() as made:
        migrate(made.url)
        engine = create_engine(made.url.replace("postgresql:", "postgresql+psycopg:"))
        assert distribute(engine)
        engine.dispose()
        yield made


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """The divided ledger."""
    opened = connect(cluster.url)
    yield opened
    opened.dispose()
