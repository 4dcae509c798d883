"""Paths of reasoning over what several traces of one question have in common (Steiner): more paths than traces, and real ways
back."""
