"""Pure shapes and rules: events, state, policies, decisions, money, calendar."""
