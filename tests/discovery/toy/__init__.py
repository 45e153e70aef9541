"""A third domain, the smallest there can be: clouds of points on the plane and the turns that keep their radii."""
