"""What the portal costs, measured; nothing is asserted. `make bench` runs all of it."""
