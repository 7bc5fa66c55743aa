"""What Conservator claims, measured: every benchmark writes one JSON file, and the tables in the docs come from it."""
