"""Sweeps: a page planned at many points, what they share made once, and their results in one table and one page."""
