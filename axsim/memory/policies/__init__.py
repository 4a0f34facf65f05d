"""Policies that choose the bits of saved tensors, one file each."""
