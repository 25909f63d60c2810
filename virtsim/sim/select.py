"""Picks by expression: ``monitor and not (slow or huge)``; a word fits when it is part of the name.

Knows words, ``and``, ``or``, ``not`` and parentheses. Must not know what is picked.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

__all__ = ["select"]

_TOKEN = re.compile(r"\s*(\(|\)|[^\s()]+)")
_OPERATORS = {"and", "or", "not", "(", ")"}
#: A longer expression is a mistake; Python's own parser is recursive.
MAX_LENGTH = 1000


def select(expression: str, names: Sequence[str]) -> list[int]:
    """Indices of the names that an expression fits; case does not matter.

    Raises:
        ValueError: not an expression.
    """
    tokens = _TOKEN.findall(expression)
    if not tokens or len(expression) > MAX_LENGTH:
        raise ValueError("expected words, 'and', 'or', 'not' and parentheses")
    words = [token for token in tokens if token not in _OPERATORS]
    # Python's own grammar decides what belongs to what; each word stands in it as its number.
    numbers = iter(range(len(words)))
    source = " ".join(token if token in _OPERATORS else str(next(numbers)) for token in tokens)
    try:
        tree = ast.parse(source, mode="eval").body
    except SyntaxError:
        raise ValueError("expected words, 'and', 'or', 'not' and parentheses") from None
    return [index for index, name in enumerate(names) if _fits(tree, words, name.lower())]


def _fits(node: ast.expr, words: Sequence[str], name: str) -> bool:
    if isinstance(node, ast.BoolOp):
        together = all if isinstance(node.op, ast.And) else any
        return together(_fits(value, words, name) for value in node.values)
    if isinstance(node, ast.UnaryOp):
        return not _fits(node.operand, words, name)
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return words[node.value].lower() in name
    raise ValueError("between two words stands 'and' or 'or'")
