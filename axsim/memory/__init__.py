"""What is remembered for the backward pass, in which code, and how many bytes of it."""
