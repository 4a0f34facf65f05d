"""Layers that put the four answers together, and the conversion of whole networks."""
