"""``headrace doctor``: looks for what is wrong with an installation, and says how to cure it."""
