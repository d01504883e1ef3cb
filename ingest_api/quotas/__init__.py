"""How much clients and workspaces may publish in a second."""
