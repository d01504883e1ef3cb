"""The publish path: drafts validated, encoded, claimed by key, written, acknowledged."""
