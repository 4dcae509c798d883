"""Rehearsals on a virtual cluster: what a page makes must not depend on what happens to its jobs."""
