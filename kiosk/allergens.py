"""The fourteen allergens of Regulation (EU) No 1169/2011, Annex II, in words for the till."""

from collections.abc import Mapping

from flask_babel import gettext


def in_words() -> Mapping[str, str]:
    """A name for each key."""
    return {
        "celery": gettext("celery"),
        "crustaceans": gettext("crustaceans"),
        "eggs": gettext("eggs"),
        "fish": gettext("fish"),
        "gluten": gettext("gluten"),
        "lupin": gettext("lupin"),
        "milk": gettext("milk"),
        "molluscs": gettext("molluscs"),
        "mustard": gettext("mustard"),
        "nuts": gettext("nuts"),
        "peanuts": gettext("peanuts"),
        "sesame": gettext("sesame"),
        "soybeans": gettext("soya"),
        "sulphites": gettext("sulphites"),
    }
