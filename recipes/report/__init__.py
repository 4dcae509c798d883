"""Manifests become one static HTML page."""

VERSION = 5
