"""From YAML and words to a checked task."""
