"""Commands that call our own API, and those that try it out."""
