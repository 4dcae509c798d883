"""Floor 0: what was asked (pages, schema, fingerprint) and what came of it (stage folders, manifests, report)."""
