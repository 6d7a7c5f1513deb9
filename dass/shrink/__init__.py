"""From a teacher and images to a registered student, in the time that is given."""
