"""The same work done with bare clients or another framework; each module is a process of its own.

Each is run as ``python MODULE JOBFILE`` (a plain script: the Quix Streams one runs in a virtual environment of its
own), reads a JSON job, does the work, and prints one JSON object: ``{"events": n, "cpu": seconds, "wall": seconds}``,
``cpu`` being the process's own user and system time from the first event to the last, all threads included.
"""
