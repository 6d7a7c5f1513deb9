"""What can be known of a student before it is distilled, by price."""
