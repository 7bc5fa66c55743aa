"""Many photographs: found below a folder, handed to workers, written, and kept account of so that nothing is lost."""
