"""Multipliers as data: tables, files, error figures, factors, designs, catalogue."""
