"""One file per request."""
