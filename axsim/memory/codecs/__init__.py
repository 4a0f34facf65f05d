"""Codecs of saved tensors, one file each."""
