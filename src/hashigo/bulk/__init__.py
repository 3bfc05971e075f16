"""Millions of photos: a plan in shards, workers that survive any photo, and engines that only schedule."""
