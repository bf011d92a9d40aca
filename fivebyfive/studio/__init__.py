"""The server of `fivebyfive studio`: a page on this machine that shows digits on their way through running RTL.

page <-> app (routes, guard) -> inputs (pictures, checkpoints) -> machines (a thread and a simulator each) -> runs
                ^                                                    |
                +---------------- events, as they happen ------------+
"""
