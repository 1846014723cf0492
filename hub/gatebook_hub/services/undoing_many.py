"""How is a change of more rows than are shown taken back? Some rows at a time, each only if it is as it was left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from gatebook_hub import sql
from gatebook_hub.changes import ChangeRequest, RowChange, RowDiff, RowKey
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import Drifted, EffectMissed, WriteRefused
from gatebook_hub.model import Limits, Schema
from gatebook_hub.policy import Action
from gatebook_hub.services.applying import Applied
from gatebook_hub.services.by_key import Row, RowsByKey, parts
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.statements import DecidedStep, Prepared, decide_write, own_values
from gatebook_hub.services.surveying import Survey
from gatebook_hub.services.undoing import BACK, columns_back, is_same, known_table
from gatebook_hub.sources.source import WriteSession
from gatebook_hub.sql import StatementKind
from gatebook_hub.values import decode, encode

_KIND_BACK = {
    RowKind.ADDED: RowKind.REMOVED,
    RowKind.CHANGED: RowKind.CHANGED,
    RowKind.REMOVED: RowKind.ADDED,
}
Image = Callable[[], Iterable[Sequence[RowChange]]]
_AT_ONCE = 1_000


def prepare_many(
    gate: Gate, call: Call, source: str, schema: Schema, change: ChangeRequest, action: Action | None
) -> tuple[tuple[Prepared, ...], str]:
    """What takes the kinds of rows back, decided as if its caller had sent it, and as a text; raises AccessRefused."""
    image = _image_of(change)
    assert image.beyond is not None
    table = known_table(image, schema)
    own = own_values(gate, source, call.principal)
    writes, texts = [], []
    for kind in (kind for kind in BACK if image.beyond.counts.get(kind, 0)):
        text = sql.inverse_text(BACK[kind], table, columns_back(BACK[kind], table, image.beyond.columns), schema.engine)
        statement = sql.parse(text, schema.engine, schema.functions)
        decided = decide_write(gate, call, statement, schema, action)
        if decided.write.reached:
            raise WriteRefused("other rows would go or change with those that are taken back, and these are too many")
        writes.append(Prepared(decided=decided, sets=(own,)))
        texts.append(f"{text};")
    return tuple(writes), "\n".join(texts)


class SurveyBack(Survey):
    """The way back of one change; `left` are the rows that have changed since, and stay as they are."""

    def __init__(
        self,
        session: WriteSession,
        writes: Sequence[Prepared],
        schema: Schema,
        change: ChangeRequest,
        rows: Image,
        limits: Limits,
        *,
        known_left: Iterable[RowKey] | None = None,
    ) -> None:
        image = _image_of(change)
        assert image.beyond is not None
        super().__init__(session, writes, schema, sum(image.beyond.counts.values()), limits)
        self._image = image
        self._columns = image.columns
        self._rows = rows
        self._by_key = RowsByKey(self._session, self._table, schema)
        self._by_kind = {step.step.kind: step for step in self._steps}
        self._known_left = None if known_left is None else {one.sign for one in known_left}
        self.left: list[RowKey] = []

    def _counts(self) -> Counter[RowKind]:
        assert self._image.beyond is not None
        given = self._image.beyond.counts
        return Counter({_KIND_BACK[kind]: count for kind, count in given.items()})

    def preview(self) -> Applied:
        """What it would change, without a lock; raises EffectMissed where nothing is as it was left."""
        applied = super().preview()
        if not applied.diffs[0].total:
            raise EffectMissed("every row of the change has been changed since, so there is nothing to take back")
        return applied

    def _pieces(self, *, locked: bool) -> Iterator[tuple[DecidedStep, Sequence[Row]]]:
        self._most_of = self._applying.most_of(self._counts(), is_written=False)
        seen = 0
        for some in (piece for rows in self._rows() for piece in parts(rows, _AT_ONCE)):
            seen += len(some)
            for kind, back in BACK.items():
                alike = self._unmoved([change for change in some if change.kind is kind], locked=locked)
                step = self._by_kind.get(back)
                if alike and step is not None:
                    if back is not StatementKind.INSERT and not locked:
                        self._applying.check_scope(step, [_key(change) for change in alike])
                    yield step, [self._values(step, change) for change in alike]
        if seen != self._image.total:
            raise Drifted("what the rows were before is not kept whole")

    def _unmoved(self, changes: Sequence[RowChange], *, locked: bool) -> list[RowChange]:
        """Those whose rows are as the change left them; the others are left, or are news."""
        if self._known_left is not None:
            known = self._known_left
            changes = [one for one in changes if RowKey(table=self._table.name, key=one.key).sign not in known]
        found = self._by_key.read([_key(one) for one in changes], locked=locked) if changes else []
        same = []
        for change, row in zip(changes, found, strict=True):
            if is_same(None if row is None else [encode(value) for value in row], change.after):
                same.append(change)
            elif self._known_left is not None:
                raise Drifted("a row has been changed since this was asked for; nothing was written, ask again")
            else:
                self.left.append(RowKey(table=self._table.name, key=change.key))
        return same

    def _values(self, step: DecidedStep, change: RowChange) -> Row:
        """The key of a row, if it is there, and what it gets."""
        before = dict(zip(self._columns, change.before or (), strict=False))
        key = () if step.step.kind is StatementKind.INSERT else _key(change)
        return (*key, *(decode(before[name], name) for name in step.step.columns))


def _image_of(change: ChangeRequest) -> RowDiff:
    assert change.image is not None
    return change.image[0]


def _key(change: RowChange) -> tuple[Any, ...]:
    return tuple(decode(part, "key") for part in change.key)
