"""How do parameters stand in a text that the database's own parser reads? As `$1`, `$2`, … instead of `:name`.

PostgreSQL's grammar has no `:name`, and it is the driver that binds. Both texts of a comparison get the same number
for the same name: the text as typed by its tokens, the tree by its placeholders. If sqlglot's tokens end elsewhere
than PostgreSQL's (a `:name` that one of them sees inside a string), the number or the bare colon stays behind and the
readings differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from gatebook_hub.errors import ConstructRefused, NotParsed

_OPENS = {TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSES = {TokenType.R_BRACKET, TokenType.R_BRACE}


def numbered(text: str, names: Sequence[str], dialect: type[Dialect]) -> str:
    """The text as typed with `$n` for `:name`, where `name` is the n-th of `names`.

    Raises NotParsed, and ConstructRefused where somebody typed a number or a name that is not among them.
    """
    numbers = {name: index for index, name in enumerate(names, start=1)}
    try:
        tokens = sqlglot.tokenize(text, dialect=dialect)
    except SqlglotError as error:
        raise NotParsed("the statement does not parse") from error
    parts: list[str] = []
    done = depth = 0
    for token, following in pairwise(tokens):
        depth += (token.token_type in _OPENS) - (token.token_type in _CLOSES)
        if token.token_type is TokenType.PARAMETER:
            raise ConstructRefused("parameters are written `:name`, with a value for each name")
        if token.token_type is not TokenType.COLON or following.start != token.end + 1:
            continue
        name = text[following.start : following.end + 1]
        if name not in numbers:
            if depth:
                continue  # the colon of a slice or of a struct
            raise ConstructRefused("parameters are written `:name`, with a value for each name")
        parts += [text[done : token.start], f" ${numbers[name]} "]
        done = following.end + 1
    return "".join([*parts, text[done:]])


def number_placeholders(tree: exp.Expr, names: Sequence[str]) -> None:
    """Put `$n` in the place of each placeholder of the tree, which is changed."""
    numbers = {name: index for index, name in enumerate(names, start=1)}
    for placeholder in list(tree.find_all(exp.Placeholder)):
        number = numbers.get(placeholder.name)
        if number is None:
            raise ConstructRefused("parameters are written `:name`, with a value for each name")
        placeholder.replace(exp.Parameter(this=exp.Literal.number(number)))
