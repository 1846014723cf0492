"""Which reads does a seed stand for? Nested ones in the words of each engine, whose answers do not depend on chance.

A window, an order or an aggregate is written only where ties make no difference, so that two databases with the same
rows give the same answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.adversary.vocabulary import ALL_TABLES, PROBES, SMALL, Word

from gatebook_hub.model import Engine

Columns = tuple[Word, ...]
Known = Mapping[str, Columns]


@dataclass(frozen=True, slots=True)
class Relation:
    """A name in a FROM clause, and its columns."""

    text: str
    alias: str
    columns: Columns


Scope = tuple[Relation, ...]


class Grammar:
    """A seeded maker of nested reads."""

    def __init__(self, seed: int, engine: Engine, tables: Known = ALL_TABLES) -> None:
        self.random = random.Random(f"{engine}:{seed}")
        self.engine = engine
        self.tables = tables
        self.count = 0

    # ── choices ──

    def odds(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def fresh(self) -> str:
        """A new name, at times that of a table: shadowing is part of the attack."""
        self.count += 1
        return f"t{self.count}" if self.odds(0.93) else f"{self.pick(*self.tables)}"

    def word(self, scope: Scope, kind: str | None = None) -> tuple[Relation, Word] | None:
        found = [(one, word) for one in scope for word in one.columns if kind is None or word.kind == kind]
        return self.random.choice(found) if found else None

    def place(self, relation: Relation, word: Word) -> str:
        """A column as it may be written: bare names are left to `*`, USING and single relations."""
        return f"{relation.alias}.{self.spelled(word.name)}"

    def spelled(self, name: str) -> str:
        if self.odds(0.9):
            return name
        if self.engine is Engine.MARIADB:
            return self.pick(f"`{name}`", name.upper())
        if self.engine is Engine.POSTGRESQL:
            return self.pick(f'"{name}"', name.upper())
        return self.pick(f'"{name}"', name.upper(), f'"{name.upper()}"')

    # ── statements ──

    def statement(self) -> str:
        text, columns = self.query(self.random.randint(1, 3), {}, ())
        roll = self.random.random()
        if roll < 0.2:
            return self.united(text, columns)
        if roll < 0.35:
            # In full order, so that a limit cuts the same everywhere; NULL is where all engines can say so.
            keys = ", ".join(f"{index + 1}{self.pick('', ' desc')}" for index in range(len(columns)))
            names = ", ".join(f"coalesce(l.{word.name}, {self.default(word)}) as {word.name}" for word in columns)
            return f"select {names} from ({text}) l order by {keys} limit {self.random.randint(0, 9)}"
        return text

    def united(self, text: str, columns: Columns) -> str:
        other, theirs = self.query(1, {}, ())
        pairs = [(mine, yours) for mine, yours in zip(columns, theirs, strict=False) if mine.kind == yours.kind]
        if not pairs:
            return text
        kind = self.pick("union", "union all", "except", "intersect", "union distinct" if self.is_maria else "union")
        left = ", ".join(f"l.{mine.name}" for mine, _ in pairs)
        right = ", ".join(f"r.{yours.name}" for _, yours in pairs)
        return f"select {left} from ({text}) l {kind} select {right} from ({other}) r"

    def default(self, word: Word) -> str:
        return {"n": "-1", "s": "''", "d": "null"}[word.kind]

    @property
    def is_maria(self) -> bool:
        return self.engine is Engine.MARIADB

    def query(self, depth: int, known: Known, outer: Scope) -> tuple[str, Columns]:
        """A select and the columns of its answer."""
        head, known = self.head(depth, known)
        relations, scope = self.sources(depth, known)
        shape = self.random.random()
        where = f" where {self.condition(scope + outer, depth, known)}" if self.odds(0.65) else ""
        if shape < 0.25:
            items, columns, tail = self.grouped(scope)
        elif shape < 0.33 and len({word.name for one in scope for word in one.columns}) == sum(
            len(one.columns) for one in scope
        ):
            relation = self.random.choice(scope)
            items, columns, tail = self.starred(relation, scope)
        else:
            items, columns = self.items(scope, depth)
            tail = ""
        distinct = "distinct " if self.odds(0.15) and not tail else ""
        if self.engine is Engine.DUCKDB and self.odds(0.1):
            return f"{head}from {relations} select {distinct}{items}{where}{tail}", columns
        return f"{head}select {distinct}{items} from {relations}{where}{tail}", columns

    def starred(self, relation: Relation, scope: Scope) -> tuple[str, Columns, str]:
        if self.odds(0.5):
            return f"{relation.alias}.*", relation.columns, ""
        return "*", tuple(word for one in scope for word in one.columns), ""

    def head(self, depth: int, known: Known) -> tuple[str, Known]:
        if depth < 2 or not self.odds(0.4):
            return "", known
        parts, found = [], dict(known)
        for _ in range(self.random.choice([1, 1, 2])):
            name = self.pick(self.fresh(), self.fresh(), *self.tables)
            inner, columns = self.query(depth - 1, found, ())
            # SQLite takes a name that it meets inside for a circle.
            if f"{name} " in inner + " " or name in found or len({word.name for word in columns}) < len(columns):
                continue
            if self.odds(0.3):
                columns = tuple(Word(f"{word.kind}{index}c", word.kind) for index, word in enumerate(columns))
                name_list = f"({', '.join(word.name for word in columns)})"
            else:
                name_list = ""
            parts.append(f"{name}{name_list} as ({inner})")
            found[name] = columns
        recursion = ""
        if self.odds(0.3):
            recursion = "recursive "
            text, columns = self.recursion()
            parts.append(text)
            found["tree"] = columns
        return (f"with {recursion}{', '.join(parts)} " if parts else ""), found

    def recursion(self) -> tuple[str, Columns]:
        if self.odds(0.4):
            end = self.random.randint(2, 9)
            return f"tree(n0) as (select 1 union all select n0 + 1 from tree where n0 < {end})", (Word("n0", "n"),)
        mail = self.pick("email", "lastname", "address", "postalcode", "phone")
        text = (
            f"tree(n0, s1) as (select b.employeeid, b.{mail} from employee b where b.reportsto is null "
            f"union all select e.employeeid, e.{mail} from employee e join tree t on e.reportsto = t.n0)"
        )
        return text, (Word("n0", "n"), Word("s1", "s"))

    # ── relations ──

    def sources(self, depth: int, known: Known) -> tuple[str, Scope]:
        """What stands behind FROM."""
        first = self.relation(depth, known)
        text, scope = first.text, (first,)
        for _ in range(self.random.choice([0, 0, 1, 1, 2])):
            joined = self.joined(text, scope, depth, known)
            if joined is None:
                continue
            text, scope = joined
        return text, scope

    def joined(self, text: str, scope: Scope, depth: int, known: Known) -> tuple[str, Scope] | None:
        if self.engine in {Engine.POSTGRESQL, Engine.DUCKDB} and self.odds(0.06):
            return self.lateral(text, scope)
        other = self.relation(depth, known)
        if other.alias in {one.alias for one in scope}:
            return None
        pairs = [
            (one, mine, theirs)
            for one in scope
            for mine in one.columns
            for theirs in other.columns
            if mine.kind == theirs.kind
        ]
        keys = [pair for pair in pairs if pair[1].name == pair[2].name and pair[1].kind == "n"]
        roll = self.random.random()
        taken = {word.name for one in scope for word in one.columns}
        shared = [word for word in other.columns if word.name in taken]
        if roll < 0.1 and len(scope) == 1 and len(shared) == 1:
            kind = self.pick("natural join", "natural left join")
            merged = Relation("", other.alias, tuple(word for word in other.columns if word not in shared))
            return f"{text} {kind} {other.text}", (*scope, merged) if merged.columns else scope
        if roll < 0.25 and len(scope) == 1 and shared:
            using = self.random.choice(shared).name
            kind = self.pick("join", "left join")
            merged = Relation("", other.alias, tuple(word for word in other.columns if word.name != using))
            return f"{text} {kind} {other.text} using ({using})", (*scope, merged) if merged.columns else scope
        if roll < 0.32 and other.columns in SMALL and len(scope) == 1:
            return f"{text}{self.pick(', ', ' cross join ')}{other.text}", (*scope, other)
        if not pairs:
            return None
        one, mine, theirs = self.random.choice(keys or pairs)
        sides = ["join", "inner join", "left join", "left outer join", "right join"]
        sides += [] if self.is_maria else ["full join"]
        condition = f"{self.place(one, mine)} = {self.place(other, theirs)}"
        if self.odds(0.15):
            condition += f" and {self.comparison(other, self.random.choice(other.columns))}"
        if self.odds(0.12) and len(scope) == 1:
            return f"({text} {self.pick('join', 'left join')} {other.text} on {condition})", (*scope, other)
        return f"{text} {self.pick(*sides)} {other.text} on {condition}", (*scope, other)

    def lateral(self, text: str, scope: Scope) -> tuple[str, Scope] | None:
        """A query that sees the relations before it."""
        alias = f"l{self.count}"
        inner, columns = self.query(1, {}, scope)
        if len({word.name for word in columns}) < len(columns):
            return None
        joined = self.pick(f", lateral ({inner}) {alias}", f" cross join lateral ({inner}) {alias}")
        return f"{text}{joined}", (*scope, Relation("", alias, columns))

    def relation(self, depth: int, known: Known) -> Relation:
        alias = self.fresh()
        roll = self.random.random()
        if depth > 1 and roll < 0.3:
            inner, columns = self.query(depth - 1, known, ())
            if len({word.name for word in columns}) == len(columns):
                return Relation(f"({inner}) {alias}", alias, columns)
        if roll > 0.93:
            return self.special(alias)
        names = {**self.tables, **known}
        table = self.random.choice(list(known) * 3 + list(names)) if known else self.pick(*names)
        written = table if table in known else self.spelled_table(table)
        return Relation(f"{written} {self.pick('', 'as ')}{alias}", alias, names[table])

    def spelled_table(self, name: str) -> str:
        if self.is_maria or self.odds(0.93):
            return name
        return self.pick(f'"{name}"', name.upper())

    def special(self, alias: str) -> Relation:
        """Rows without a table."""
        two = (Word("n0", "n"), Word("s1", "s"))
        if self.engine is Engine.SQLITE and self.odds(0.5):
            return Relation(
                f"(select value as n0, cast(type as text) as s1 from json_each('[1, 2, 40]')) {alias}", alias, two
            )
        if self.engine is Engine.POSTGRESQL and self.odds(0.5):
            return Relation(f"generate_series(1, 5) as {alias}(n0)", alias, two[:1])
        if self.engine is Engine.DUCKDB and self.odds(0.5):
            return Relation(f"{self.pick('range', 'generate_series')}(1, 5) as {alias}(n0)", alias, two[:1])
        if self.engine in {Engine.POSTGRESQL, Engine.DUCKDB}:
            return Relation(f"(values (1, 'Brazil'), (2, '{self.pick(*PROBES)}')) as {alias}(n0, s1)", alias, two)
        probe = self.pick(*PROBES)
        return Relation(f"(select 1 as n0, 'Brazil' as s1 union all select 2, '{probe}') {alias}", alias, two)

    # ── what is shown ──

    def items(self, scope: Scope, depth: int) -> tuple[str, Columns]:
        items, columns = [], []
        for index in range(self.random.randint(1, 4)):
            relation, word = self.word(scope) or (scope[0], scope[0].columns[0])
            text, kind = self.value(relation, word, scope, depth)
            name = f"{kind}{index}x{self.count}"
            self.count += 1
            items.append(f"{text} {self.pick('as ', 'as ', '')}{name}")
            columns.append(Word(name, kind))
        return ", ".join(items), tuple(columns)

    def value(self, relation: Relation, word: Word, scope: Scope, depth: int) -> tuple[str, str]:
        place = self.place(relation, word)
        if self.odds(0.45):
            return place, word.kind
        if depth > 1 and self.odds(0.15):
            return self.scalar(relation, word)
        if self.odds(0.12):
            return self.window(place, word, scope)
        if self.odds(0.15):
            condition = self.comparison(relation, word)
            other = self.word(scope, word.kind)
            assert other is not None
            return f"case when {condition} then {place} else {self.place(*other)} end", word.kind
        match word.kind:
            case "n":
                return self.number(place), "n"
            case "s":
                return self.string(place, scope)
            case _:
                return self.pick(f"min({place}) over ()", place), "d"

    def number(self, place: str) -> str:
        return self.pick(
            f"coalesce({place}, 0)", f"{place} + 1", f"-{place}", f"{place} * 2 - 1", f"abs({place})",
            f"nullif({place}, 2)", f"({place})", f"round({place})",
        )  # fmt: skip

    def string(self, place: str, scope: Scope) -> tuple[str, str]:
        other = self.word(scope, "s")
        assert other is not None
        second = self.place(*other)
        joined = f"concat({place}, {second})" if self.is_maria else f"{place} || {second}"
        choices = [
            f"upper({place})", f"lower({place})", f"coalesce({place}, 'none')", f"substr({place}, 2, 9)", joined,
            f"replace({place}, '@', '#')", f"nullif({place}, {second})", f"trim({place})", f"({place})",
            *self.dialect(place),
        ]  # fmt: skip
        if self.odds(0.15):
            return f"length({place})", "n"
        return self.random.choice(choices), "s"

    def dialect(self, place: str) -> Sequence[str]:
        """Functions and operators of one engine."""
        match self.engine:
            case Engine.POSTGRESQL:
                return f"{place}::text", f"md5({place})", f"left({place}, 2)", f"split_part({place}, '@', 1)"
            case Engine.MARIADB:
                return f"md5({place})", f"left({place}, 2)", f"if({place} > 'm', 'a', 'b')", f"ifnull({place}, '')"
            case Engine.SQLITE:
                return f"quote({place})", f"typeof({place})", f"hex({place})", f"iif({place} > 'm', 'a', 'b')"
            case Engine.DUCKDB:
                return f"{place}::varchar", f"md5({place})", f"{place}[1]", f"split_part({place}, '@', 1)"

    def window(self, place: str, word: Word, scope: Scope) -> tuple[str, str]:
        other = self.word(scope)
        assert other is not None
        part = f"partition by {self.place(*other)}"
        if self.odds(0.3):
            return f"{self.pick('rank', 'dense_rank')}() over ({self.pick(part, '')} order by {place})", "n"
        if self.odds(0.4):
            return f"count({place}) over ({part})", "n"
        return f"{self.pick('min', 'max')}({place}) over ({self.pick(part, '')})", word.kind

    def scalar(self, relation: Relation, word: Word) -> tuple[str, str]:
        """A query of one row; correlated where the columns allow it."""
        alias = f"q{self.count}"
        self.count += 1
        table = self.pick(*self.tables)
        inner = Relation(f"{table} {alias}", alias, self.tables[table])
        found = self.word((inner,))
        assert found is not None
        theirs = [mine for mine in inner.columns if mine.kind == word.kind]
        where = ""
        if theirs:
            mine = self.random.choice([one for one in theirs if one.name == word.name] or theirs)
            where = f" where {alias}.{mine.name} {self.pick('=', '=', '<')} {self.place(relation, word)}"
        if self.odds(0.3):
            return f"(select count(*) from {inner.text}{where})", "n"
        return f"(select {self.pick('min', 'max')}({self.place(*found)}) from {inner.text}{where})", found[1].kind

    def grouped(self, scope: Scope) -> tuple[str, Columns, str]:
        """A group by, its items, and perhaps a having."""
        key = self.word(scope)
        value = self.word(scope)
        assert key is not None
        assert value is not None
        place, measured = self.place(*key), self.place(*value)
        by, kind = (place, key[1].kind)
        if key[1].kind == "s" and self.odds(0.3):
            by = self.pick(f"substr({place}, 1, 2)", f"upper({place})", f"length({place})")
            kind = "n" if by.startswith("length") else "s"
        measures = [
            ("count(*)", "n"), (f"count({measured})", "n"), (f"count(distinct {measured})", "n"),
            (f"max({measured})", value[1].kind), (f"min({measured})", value[1].kind),
        ]  # fmt: skip
        if value[1].kind == "n":
            measures.append((f"sum({measured})", "n"))
        if self.engine is not Engine.MARIADB:
            measures.append((f"count(*) filter (where {self.comparison(*value)})", "n"))
        text, measure = self.random.choice(measures)
        one, two = f"{kind}0g{self.count}", f"{measure}1g{self.count}"
        self.count += 1
        group = self.pick(by, "1", *(["all"] if self.engine is Engine.DUCKDB else []))
        having = f" having {self.pick('count(*) > 1', f'max({measured}) is not null', f'min({measured}) <> max({measured})')}"
        tail = f" group by {group}{having if self.odds(0.3) else ''}"
        return f"{by} as {one}, {text} as {two}", (Word(one, kind), Word(two, measure)), tail

    # ── conditions ──

    def condition(self, scope: Scope, depth: int, known: Known) -> str:
        found = self.word(scope)
        assert found is not None
        relation, word = found
        place = self.place(relation, word)
        roll = self.random.random()
        if roll < 0.2 and depth > 0:
            return f"({self.condition(scope, depth - 1, known)} {self.pick('or', 'and')} {self.comparison(*found)})"
        if roll < 0.25:
            return f"not ({self.comparison(*found)})"
        if roll < 0.45 and depth > 1:
            inner, columns = self.query(depth - 1, {}, ())
            fitting = [mine for mine in columns if mine.kind == word.kind]
            if fitting:
                text = f"select w.{fitting[0].name} from ({inner}) w"
                if self.engine in {Engine.POSTGRESQL, Engine.DUCKDB, Engine.MARIADB} and self.odds(0.15):
                    return f"{place} = {self.pick('any', 'some')} ({text})"
                return f"{place} {self.pick('in', 'in', 'not in')} ({text})"
            return f"exists ({inner})"
        if roll < 0.6:
            return self.correlated(relation, word)
        return self.comparison(relation, word)

    def correlated(self, relation: Relation, word: Word) -> str:
        table = self.pick(*self.tables)
        alias = f"q{self.count}"
        self.count += 1
        theirs = [mine for mine in self.tables[table] if mine.kind == word.kind]
        if not theirs:
            return self.comparison(relation, word)
        mine = self.random.choice([one for one in theirs if one.name == word.name] or theirs)
        inner = Relation("", alias, self.tables[table])
        also = f" and {self.comparison(inner, self.random.choice(inner.columns))}" if self.odds(0.5) else ""
        negated = self.pick("", "", "not ")
        return (
            f"{negated}exists (select 1 from {table} {alias} where {alias}.{mine.name} = "
            f"{self.place(relation, word)}{also})"
        )

    def comparison(self, relation: Relation, word: Word) -> str:
        place = self.place(relation, word)
        if self.odds(0.12):
            return f"{place} is {self.pick('', 'not ')}null"
        makers: Mapping[str, Callable[[str], str]] = {"n": self.of_number, "s": self.of_string, "d": self.of_date}
        return makers[word.kind](place)

    def of_number(self, place: str) -> str:
        low, high = sorted(self.random.choices(range(60), k=2))
        return self.pick(
            f"{place} {self.pick('<', '>', '=', '<>', '>=')} {low}", f"{place} between {low} and {high}",
            f"{place} in ({low}, {high}, 1, 2)",
        )  # fmt: skip

    def of_string(self, place: str) -> str:
        probe, other = self.pick(*PROBES), self.pick(*PROBES)
        operators = ["=", "<>", "like", "<", ">", "not like"]
        operators += {
            Engine.POSTGRESQL: ["ilike", "is distinct from"],
            Engine.DUCKDB: ["ilike", "is distinct from"],
            Engine.MARIADB: ["<=>"],
            Engine.SQLITE: ["is", "glob"],
        }[self.engine]
        return self.pick(
            f"{place} {self.pick(*operators)} '{probe}'", f"{place} in ('{probe}', '{other}')",
            f"{place} between '{min(probe, other)}' and '{max(probe, other)}'",
        )  # fmt: skip

    def of_date(self, place: str) -> str:
        day = self.pick("2002-01-01", "2003-05-03", "2004-01-01")
        return f"{place} {self.pick('<', '>', '=', '>=')} '{day}'"
