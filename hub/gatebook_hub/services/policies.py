"""How does a policy set become one that can be in force? Read, validated, its sources open."""

from __future__ import annotations

from pathlib import Path

from gatebook_hub import policy
from gatebook_hub.policy import PolicySet
from gatebook_hub.sources.registry import Sources, open_sources
from gatebook_hub.stores.policies import read_policies


def load_policy(folder: Path, state: Path) -> tuple[PolicySet, Sources]:
    """Read, validate and open; raises PolicyInvalid with file, line and reason."""
    found = policy.load(read_policies(folder))
    sources = open_sources({name: (rule.engine, rule.url) for name, rule in found.sources.items()}, state)
    return found, sources
