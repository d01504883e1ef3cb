"""A broker on this machine: from jars, in a container, or a stand-in."""
