"""Where is our own state? The book, change requests, sessions, tokens, runs and keys (SQLAlchemy lives here)."""
