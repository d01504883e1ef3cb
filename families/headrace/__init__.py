"""Our own API, ``/headrace/v1``, and CloudEvents over HTTP."""
