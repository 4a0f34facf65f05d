"""The integer contract as Numba CUDA kernels, over torch tensors on a GPU.

Importing this room imports neither numba nor a CUDA library; the first call does.
"""
