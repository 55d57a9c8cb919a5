"""What the whole package does with files: images read, files written whole, locks held."""
