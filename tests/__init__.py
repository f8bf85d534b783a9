"""The promises of this project, and what keeps them."""
