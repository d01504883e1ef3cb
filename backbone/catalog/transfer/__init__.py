"""The catalog as a file: exported, compared, imported."""
