"""How a net learns."""
