"""How is a gate opened, and what is completed before it serves?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gatebook_hub import demo
from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.services.cases import UseCases, use_cases_of
from gatebook_hub.services.checking import check, hold_to, known_tools
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.identities import Identities, rights
from gatebook_hub.services.in_force import InForce
from gatebook_hub.services.notices import Notices
from gatebook_hub.services.policies import load_policy
from gatebook_hub.settings import Settings
from gatebook_hub.sources.sqlite import SqliteSource
from gatebook_hub.stores.access import ReceiptStore, SessionStore, TokenStore
from gatebook_hub.stores.book import Book
from gatebook_hub.stores.changes import ChangeStore
from gatebook_hub.stores.database import open_database
from gatebook_hub.stores.favourites import FavouriteStore
from gatebook_hub.stores.identities import IdentityStore
from gatebook_hub.stores.keys import load_keys
from gatebook_hub.stores.leases import LeaseStore
from gatebook_hub.stores.outbox import Outbox
from gatebook_hub.stores.preferences import PreferenceStore
from gatebook_hub.stores.runs import RunStore
from gatebook_hub.stores.saved_queries import SavedQueryStore
from gatebook_hub.stores.seal import Seal
from gatebook_hub.stores.tools import ToolStore

OPERATOR = Call(principal=Principal(kind=PrincipalKind.SERVICE, name="gateway", channel=Channel.OPERATOR))

_CLOSED_BY = {
    EventKind.QUERY_INTENT: EventKind.QUERY_OUTCOME,
    EventKind.TRANSACTION_INTENT: EventKind.TRANSACTION_OUTCOME,
}


@contextmanager
def open_gate(settings: Settings) -> Iterator[Gate]:
    """Open the state folder and the policy set; raises PolicyInvalid."""
    state = settings.state
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    (state / "book").mkdir(mode=0o700, exist_ok=True)
    if settings.demo:
        _make_demo(settings)
    policy_set, sources = load_policy(settings.policies, state)
    keys = load_keys(state / "keys")
    book_database = open_database(state / "book" / "book.sqlite", "book")
    database = open_database(state / "gatebook.sqlite", "state")
    book = Book(book_database, keys.signing, copy=settings.checkpoint_copy)
    in_force = InForce(policy=policy_set, sources=sources)
    tokens = TokenStore(database)
    tools = ToolStore(database)
    try:
        gate = Gate(
            settings=settings,
            in_force=in_force,
            book=book,
            keys=keys,
            changes=ChangeStore(database, Seal(keys.rows)),
            tokens=tokens,
            sessions=SessionStore(database),
            receipts=ReceiptStore(database),
            runs=RunStore(database),
            leases=LeaseStore(database),
            favourites=FavouriteStore(database),
            saved=SavedQueryStore(database, Seal(keys.rows)),
            tools=tools,
            notices=Notices(Outbox(database), PreferenceStore(database), in_force, settings.limit_outbox),
        )
        sources.hold(Identities(gate, IdentityStore(database), OPERATOR))
        yield gate
    finally:
        book.close()
        in_force.close()
        tokens.close()
        tools.close()
        database.dispose()
        book_database.dispose()


def start(gate: Gate) -> UseCases:
    """Check what is in force, complete what a crash left open, and tell the book; raises PolicyInvalid."""
    _check_policy(gate)
    gate.changes.complete()
    cases = use_cases_of(gate)
    cases.changes.recover(OPERATOR)
    cases.jobs.recover(OPERATOR)
    for intent in gate.book.open_intents():
        outcome_kind = _CLOSED_BY.get(intent.content["kind"])
        if outcome_kind is None:
            continue  # a write whose source cannot be asked yet stays open until it can
        source = intent.content.get("source")
        gate.book.append(
            gate.event(
                outcome_kind,
                OPERATOR,
                source=source,
                refers_to=intent.index,
                outcome=Outcome.UNKNOWN,
                detail="the gateway stopped before the statement ended",
            )
        )
    gate.book.append(gate.event(EventKind.GATEWAY_STARTED, OPERATOR, outcome=Outcome.OK))
    extra = {
        "revision": gate.policy.revision,
        "sources": ",".join(sorted(gate.policy.sources)),
        "rules": str(len(gate.policy.grants)),
    }
    gate.book.append(gate.event(EventKind.POLICY_LOADED, OPERATOR, outcome=Outcome.OK, extra=extra))
    return cases


def _check_policy(gate: Gate) -> None:
    """A rule that does not fit its source stops the start; a source that is down does not stop the others."""
    tools = known_tools(gate.settings.notebooks, gate.tools.names())
    findings = [*check(gate.policy, gate.in_force.sources, tools=tools, now=gate.now()), *rights(gate)]
    hold_to(findings)


def _make_demo(settings: Settings) -> None:
    """Build the demo source once; what is there stays as it is."""
    path = settings.state / "databases" / "chinook.sqlite"
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, exist_ok=True)
    archive = demo.fetch(settings.cache or settings.state / "cache")
    demo.build(f"sqlite:///{path}", demo.load_rows(archive))
    source = SqliteSource("chinook", path)
    source.prepare()
    source.close()
