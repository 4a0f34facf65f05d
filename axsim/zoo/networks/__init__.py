"""Reference networks in plain torch, a file for each family.

A file offers `NETWORKS`, from names to functions whose options can all be left out.
axsim's own networks call their first layers `stem` and their classifier `head`.
"""
