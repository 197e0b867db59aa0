"""Looking for an article by a part of its name, its number or its code."""

import sqlite3
import unicodedata

from edge.store.unit import ArticleView, article_view

_PLAIN = str.maketrans("łŁøØđĐ", "lLoOdD")
"""Letters that Unicode does not take apart."""

_VARIED = frozenset("acdelnosuz")
"""Letters that may stand for one with a mark: the database is asked for any letter there."""


def folded(text: str) -> str:
    """Return a text as it is compared: without case and marks."""
    apart = unicodedata.normalize("NFKD", text.translate(_PLAIN).casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def search(db: sqlite3.Connection, text: str, at_ms: int, limit: int) -> list[ArticleView]:
    """Return the articles that all words of a text stand in, those beginning so first.

    Without a word: those that have no code to scan. Only what is sold at `at_ms` is found.
    """
    words = folded(text).split()[:8]
    if not words:
        rows = db.execute("SELECT DISTINCT sku, name FROM articles WHERE codes = '' ORDER BY sku")
    else:
        rows = db.execute(
            "SELECT DISTINCT sku, name FROM articles WHERE "
            + " AND ".join("(name LIKE ? ESCAPE '!' OR sku LIKE ? OR codes LIKE ?)" for _ in words),
            [pattern for word in words for pattern in (_pattern(word), f"%{word}%", f"%{word}%")],
        )
    names: dict[str, str] = {}
    for sku, name in rows:
        there = f"{folded(name)} {folded(sku)}"
        if all(word in there for word in words) or any(word.isdigit() for word in words):
            names[sku] = there
        if len(names) >= 20 * limit:
            break
    ranked = sorted(names, key=lambda sku: (not _begins(names[sku], words), names[sku]))
    views = (article_view(db, sku, at_ms) for sku in ranked[: 2 * limit])
    sold = [view for view in views if view is not None and view.unit_minor is not None]
    if not words:
        sold = [view for view in sold if not view.codes]
    return sold[:limit]


def _pattern(word: str) -> str:
    plain = "".join(
        "_" if letter in _VARIED else f"!{letter}" if letter in "%_!" else letter for letter in word
    )
    return f"%{plain}%"


def _begins(name: str, words: list[str]) -> bool:
    return bool(words) and name.startswith(words[0])
