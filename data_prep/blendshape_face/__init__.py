"""Faces of one topology that ARKit's named shapes move, whichever model they come from."""
