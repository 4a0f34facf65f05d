"""One file per subject of `axsim bench`, with a `run` whose result prints."""
