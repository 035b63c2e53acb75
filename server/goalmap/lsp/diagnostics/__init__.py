"""What the client is told is wrong: kept as JSON, so that an edit costs what it changed."""
