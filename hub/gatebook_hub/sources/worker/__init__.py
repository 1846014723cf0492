"""What runs a person's statement on an embedded database? A process of its own, which can be killed.

Started by `workers.py`, one statement at a time, confined before it opens anything. Nothing in here imports SQLAlchemy
or sqlglot: a worker starts in a fraction of a second and holds no more code than it needs.
"""
