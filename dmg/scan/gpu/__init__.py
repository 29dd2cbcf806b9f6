"""Compiled loops on a GPU: Triton kernels of the same programs as on the CPU."""
