"""Phase 1: bring datasets from a Hub into the lake, byte for byte, verified and described."""
