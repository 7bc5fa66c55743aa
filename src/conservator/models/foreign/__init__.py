"""Networks that users bring: read without trusting their files, described by what they say and by what they do."""
