"""HTTP in: the hot routes that publish and the control routes, behind one port."""
