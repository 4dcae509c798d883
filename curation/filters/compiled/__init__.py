"""Loops over the characters of many documents, compiled by numba when they are first called and kept on disk.

No function here calls one of another file: numba's cache would not notice that the other one changed.
"""
