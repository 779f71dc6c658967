"""An answer to each exercise, under the exercise's name."""
