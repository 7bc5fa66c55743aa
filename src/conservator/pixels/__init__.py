"""Pure functions on arrays of pixels: no files, no models, no state."""
