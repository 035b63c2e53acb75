"""The only code that touches the disk: loading libraries, and committing to them."""
