"""Languages: what a page says comes from the catalogues in `kiosk/translations`, for its scripts, too.

The browser says which language it wants (`Accept-Language`); English is what the code itself is written in.
"""

from collections.abc import Mapping

from flask import Flask, request
from flask_babel import Babel, get_locale, ngettext

SOURCE_LANGUAGE = "en_GB"
# Far enough to meet every category of every language that CLDR knows whole numbers of (Welsh has six).
_SAMPLES = (*range(102), 1_000_000)


def translate(app: Flask) -> None:
    """Let the application speak the languages that there are catalogues for."""
    babel = Babel()

    def choose() -> str:
        offered = sorted({SOURCE_LANGUAGE, *(str(locale) for locale in babel.list_translations())})
        return request.accept_languages.best_match(offered, SOURCE_LANGUAGE) or SOURCE_LANGUAGE

    babel.init_app(app, locale_selector=choose)
    app.context_processor(lambda: {"language": language()})


def language() -> str:
    """The language of this page, as HTML's `lang` says it (BCP 47)."""
    return str(get_locale() or SOURCE_LANGUAGE).replace("_", "-")


def plural(singular: str, other: str) -> Mapping[str, str]:
    """A text for each plural category of this page's language (CLDR: one, other, …), to pick from by number.

    Both name the number as `%(count)s`, for which the script gets `{count}`, as in its other texts.
    """
    locale = get_locale()
    categories: dict[str, int] = {}
    for number in _SAMPLES:
        categories.setdefault(locale.plural_form(number) if locale is not None else "other", number)
    return {category: _form(singular, other, number) for category, number in categories.items()}


def _form(singular: str, other: str, number: int) -> str:
    text: str = ngettext(singular, other, number, count="{count}")
    return text
