"""Which use cases does an edge find behind it?"""

from __future__ import annotations

from dataclasses import dataclass

from gatebook_hub.services.access import AccessView
from gatebook_hub.services.actions import Actions
from gatebook_hub.services.auditing import Auditing
from gatebook_hub.services.changes import Changes
from gatebook_hub.services.details import TableDetails
from gatebook_hub.services.gate import Gate
from gatebook_hub.services.jobs import Jobs
from gatebook_hub.services.preferring import Preferences
from gatebook_hub.services.publishing import Publishing
from gatebook_hub.services.queries import Queries
from gatebook_hub.services.remembering import Remembering
from gatebook_hub.services.saved_queries import SavedQueries
from gatebook_hub.services.searching import Searching
from gatebook_hub.services.sessions import Sessions
from gatebook_hub.services.transactions import Transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """All use cases of one gate."""

    gate: Gate
    queries: Queries
    transactions: Transactions
    changes: Changes
    actions: Actions
    access: AccessView
    details: TableDetails
    auditing: Auditing
    sessions: Sessions
    jobs: Jobs
    preferences: Preferences
    searching: Searching
    saved: SavedQueries
    publishing: Publishing
    remembering: Remembering


def use_cases_of(gate: Gate) -> UseCases:
    """Put the use cases together."""
    changes = Changes(gate)
    sessions = Sessions(gate)
    transactions = Transactions(gate)
    queries = Queries(gate, changes, transactions)
    return UseCases(
        gate=gate,
        queries=queries,
        transactions=transactions,
        changes=changes,
        actions=Actions(gate, changes),
        access=AccessView(gate),
        details=TableDetails(gate),
        auditing=Auditing(gate),
        sessions=sessions,
        jobs=Jobs(gate, sessions),
        preferences=Preferences(gate),
        searching=Searching(gate),
        saved=SavedQueries(gate, queries),
        publishing=Publishing(gate),
        remembering=Remembering(gate),
    )
