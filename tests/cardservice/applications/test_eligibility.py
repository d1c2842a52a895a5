"""Who may have which card, and what it may say: the rules alone, day by day around each border."""

from datetime import date

import pytest

from cardservice.applications.eligibility import Ages, Known, Visit, age_on, missing, stated

AGES = Ages(young=5, adult=16)
TODAY = date(2026, 6, 15)
PROOFS = {"identity": None, "residence": date(2027, 1, 1)}


@pytest.mark.parametrize(
    ("born_on", "day", "age"),
    [
        (date(2010, 6, 15), TODAY, 16),
        (date(2010, 6, 16), TODAY, 15),
        (date(2008, 2, 29), date(2024, 2, 28), 15),
        (date(2008, 2, 29), date(2024, 2, 29), 16),
        (date(2008, 2, 29), date(2026, 2, 28), 17),
        (date(2008, 2, 29), date(2026, 3, 1), 18),
    ],
)
def test_ages(born_on: date, day: date, age: int) -> None:
    assert age_on(born_on, day) == age


@pytest.mark.parametrize(
    ("kind", "born_on", "fits"),
    [
        ("citizen", date(2010, 6, 15), True),
        ("citizen", date(2010, 6, 16), False),
        ("young-citizen", date(2010, 6, 15), False),
        ("young-citizen", date(2010, 6, 16), True),
        ("young-citizen", date(2021, 6, 15), True),
        ("young-citizen", date(2021, 6, 16), False),
        ("citizen", None, False),
        ("visitor", None, True),
    ],
)
def test_the_scheme_sets_the_ages(kind: str, born_on: date | None, fits: bool) -> None:
    visit = Visit(TODAY, TODAY) if kind == "visitor" else None
    assert (missing(kind, Known(born_on, PROOFS), AGES, TODAY, visit) == ()) is fits


def test_all_that_is_missing_is_said() -> None:
    """At once, so that nobody has to come twice."""
    said = missing("citizen", Known(None, {"residence": TODAY}, ("deceased",)), AGES, TODAY)
    assert said == (
        "this person has died",
        "no proof of identity counts",
        "no proof of residence counts",
        "no date of birth is noted",
    )
    over = missing("visitor", Known(None, PROOFS), AGES, TODAY, Visit(date(2026, 6, 1), date(2026, 6, 14)))
    assert over == ("the visit is over",)


def test_a_card_says_what_proofs_back() -> None:
    """Until the day of review, and no age without a proof of who somebody is."""
    known = Known(date(2008, 6, 15), {**PROOFS, "disability": TODAY, "student": date(2026, 6, 16)})
    assert stated(known, AGES, TODAY) == {
        "resident": date(2027, 1, 1),
        "student": date(2026, 6, 16),
        "age_over_16": None,
        "age_over_18": None,
    }
    assert stated(Known(date(2008, 6, 16), {"identity": None}), AGES, TODAY) == {"age_over_16": None}
    assert stated(Known(date(1980, 1, 1), {}), AGES, TODAY) == {}
