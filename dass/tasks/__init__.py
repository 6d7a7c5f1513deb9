"""Tasks: labelled images, the teacher trained on them, and the students that are known, opened in one place."""
