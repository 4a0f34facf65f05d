"""Networks that other libraries quantised, with their own scales, codes and biases."""
