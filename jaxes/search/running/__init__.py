"""A search as it runs, and what it leaves: the loop, restarts, its history, folder, table, picture and result."""
