"""Data sets: one file each, a front door, and what is done to images and batches."""
