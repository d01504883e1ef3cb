"""Runs as the API and the replayers share them: a view of the topic ``runs``, and how runs are asked for."""
