"""Which use cases are there? Each orders policy, SQL, sources, stores and the book; none knows HTTP."""
