"""What to train next: samplers, which propose points of a space and are told what came of them."""
