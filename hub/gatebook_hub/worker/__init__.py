"""Who runs the scheduled notebooks? A process that claims due runs and gives each a process of its own.

    worker (service token) ── claim, progress, finish ──────────────────────────► gateway
      └── one process per run (run token) ── relay on loopback ── run token ────► gateway
            └── kernel (gate token), as another Linux user where there is a launcher

There is no job queue here. The gateway owns schedule and runs, for it must write them to the book and hold their
tokens; a claim is one conditional update in its database. A queue beside it would be a second truth about what runs,
and would need the same lease to notice a worker that died. More workers are more processes that claim.
"""
