"""Power cuts and failing disks: the real stores on a disk that is cut at every point."""
