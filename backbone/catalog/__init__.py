"""The control plane's records: a view of the compacted catalog topic, and the writer that fencing makes single."""
