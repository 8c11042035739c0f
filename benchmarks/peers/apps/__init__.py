"""What the peers' workers run. Each is run by its peer's own interpreter, so it imports that peer,
the standard library and its neighbours here, and nothing else of this project."""
