"""Named datasets: one file each, which finds, reads and describes its dataset; and downloads."""
