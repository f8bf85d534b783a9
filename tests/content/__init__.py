"""What people write, publish and read."""
