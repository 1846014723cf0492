"""What do the YAML files say, and may this principal do that?

Pure: texts of files go in, a policy set comes out; a policy set, a principal and what a statement touches go in, a
decision comes out.
"""

from gatebook_hub.policy.approving import WriteFacts, requirements_for
from gatebook_hub.policy.deciding import (
    decide,
    decide_action,
    may_read_book,
    may_read_metrics,
    may_use_action,
    may_use_tool,
)
from gatebook_hub.policy.loading import Finding, load
from gatebook_hub.policy.rules import Action, Job, PolicySet, SourceRule

__all__ = [
    "Action",
    "Finding",
    "Job",
    "PolicySet",
    "SourceRule",
    "WriteFacts",
    "decide",
    "decide_action",
    "load",
    "may_read_book",
    "may_read_metrics",
    "may_use_action",
    "may_use_tool",
    "requirements_for",
]
