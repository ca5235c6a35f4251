"""Pure computation: facts, matching, deciding, explaining."""
