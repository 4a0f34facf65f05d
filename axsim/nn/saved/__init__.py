"""What layers keep for the backward pass: torch's own operations, other memory."""
