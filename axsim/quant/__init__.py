"""Which integers stand for the values: schemes, ranges, codes, gradients."""
