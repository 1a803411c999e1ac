"""The grader: it knows nothing of any course's topics."""
