"""The student-accuracy database: which students, distilling them, keeping what they reached."""
