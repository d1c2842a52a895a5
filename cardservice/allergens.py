"""The fourteen allergens that must be declared, by codes of ours.

One list for what is sold and for those who eat it, so that a till can compare the two.
"""

from collections.abc import Mapping
from types import MappingProxyType

# Regulation (EU) No 1169/2011, Annex II, points 1 to 14, in its order; kept in UK law by the Food Information
# Regulations 2014. The codes are ours, the words are for the till.
ALLERGENS: Mapping[str, str] = MappingProxyType(
    {
        "gluten": "Cereals containing gluten",  # 1
        "crustaceans": "Crustaceans",  # 2
        "eggs": "Eggs",  # 3
        "fish": "Fish",  # 4
        "peanuts": "Peanuts",  # 5
        "soybeans": "Soybeans",  # 6
        "milk": "Milk",  # 7
        "nuts": "Nuts",  # 8
        "celery": "Celery",  # 9
        "mustard": "Mustard",  # 10
        "sesame": "Sesame",  # 11
        "sulphites": "Sulphur dioxide and sulphites",  # 12
        "lupin": "Lupin",  # 13
        "molluscs": "Molluscs",  # 14
    }
)
