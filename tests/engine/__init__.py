"""Stand-ins for images that can not be pulled: `make engine-images`. For CI and sealed machines, never the default."""
