"""What a policy owner works with: loading, checking and testing policy files."""
