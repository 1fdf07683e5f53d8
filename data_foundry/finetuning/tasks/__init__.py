"""How each family of bases learns its engine's task."""
