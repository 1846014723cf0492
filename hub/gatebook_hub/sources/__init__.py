"""How is a governed database reached? One interface for every engine; each session is pinned down on every call."""
