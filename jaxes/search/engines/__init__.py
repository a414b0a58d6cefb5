"""What searches: in NumPy (`plain`), or any strategy in compiled programs."""
