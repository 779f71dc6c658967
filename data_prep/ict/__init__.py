"""Heads of ICT-FaceKit, from a checkout of one's own."""
