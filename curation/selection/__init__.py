"""Chooses few documents out of many, as s1 chose 1,000 of 59,029: what no model solves yet, of all topics, with long traces."""
