"""What does the Hub need of us? Who may log in, under which Linux account things run, and how they start."""
