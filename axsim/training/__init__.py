"""The training loop and evaluation, in one process or several.

Nothing is imported here, so that the settings can be read without torch.
"""
