"""What a policy is worth: replay of recorded outcomes, and the figures that come of it."""
