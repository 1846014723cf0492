"""What do the YAML files say, and may this principal do that?

Pure: texts of files go in, a policy set comes out; a policy set, a principal and what a statement touches go in, a
decision comes out.
"""

from gatebook_hub.policy.absences import seats_of, stand_ins
from gatebook_hub.policy.approving import Approving, WriteFacts, approving_of, requirements_for, written_tags
from gatebook_hub.policy.circumstances import UNKNOWN, Circumstances
from gatebook_hub.policy.contradicting import Finding
from gatebook_hub.policy.deciding import decide, decide_action, decide_call, decide_entity
from gatebook_hub.policy.defining import decide_definition, is_protected
from gatebook_hub.policy.granting import (
    has_protections,
    known_tables,
    lease_name,
    may_read_book,
    may_read_metrics,
    may_review_tool,
    may_search,
    may_use_action,
    may_use_tool,
    open_conditions,
    tool_groups,
    tools_with_action,
    touches,
)
from gatebook_hub.policy.loading import load
from gatebook_hub.policy.notifying import address_of, channels_for, next_digest, personal_for
from gatebook_hub.policy.rules import (
    Action,
    Check,
    Connection,
    Entity,
    HttpCall,
    Job,
    NoticeChannel,
    Notifications,
    PersonalChannel,
    PolicySet,
    Rate,
    SourceRule,
)

__all__ = [
    "UNKNOWN",
    "Action",
    "Approving",
    "Check",
    "Circumstances",
    "Connection",
    "Entity",
    "Finding",
    "HttpCall",
    "Job",
    "NoticeChannel",
    "Notifications",
    "PersonalChannel",
    "PolicySet",
    "Rate",
    "SourceRule",
    "WriteFacts",
    "address_of",
    "approving_of",
    "channels_for",
    "decide",
    "decide_action",
    "decide_call",
    "decide_definition",
    "decide_entity",
    "has_protections",
    "is_protected",
    "known_tables",
    "lease_name",
    "load",
    "may_read_book",
    "may_read_metrics",
    "may_review_tool",
    "may_search",
    "may_use_action",
    "may_use_tool",
    "next_digest",
    "open_conditions",
    "personal_for",
    "requirements_for",
    "seats_of",
    "stand_ins",
    "tool_groups",
    "tools_with_action",
    "touches",
    "written_tags",
]
