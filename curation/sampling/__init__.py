"""Rejection sampling: many answers to a prompt, the verified ones kept, and what a weaker model makes of their thinking."""
