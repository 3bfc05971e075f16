"""The datasets that have a name: one file each, which finds, reads and describes its set, and where they are downloaded."""
