"""Make the bundled sample: a small Hub in a folder, written, spoken and trained from nothing by this project."""
