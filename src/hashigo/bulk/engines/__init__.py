"""Engines give shards to workers, and nothing else: `local` on this computer, `ray` on a cluster."""
