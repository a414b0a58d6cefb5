"""What several strategies share: each module is one idea, and imports no strategy."""
