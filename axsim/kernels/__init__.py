"""The integer contract: products of codes through a table, exact on every path."""
