"""One file per subject of `axsim bench`; each has a `run` whose result prints a table."""
