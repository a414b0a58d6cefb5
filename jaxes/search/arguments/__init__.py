"""What a user gives to a search: bounds, step sizes, limits, and numbers in float64."""
