"""What several strategies share; each module is one idea, and knows no strategy."""
