"""What people write: models, blocks, editor, publishing, public site, REST API, import."""
