"""The evidence: entries, canonical JSON, Merkle tree, verification. No I/O."""
