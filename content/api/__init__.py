"""REST for clients, under ``/api/v1/``: published pages for everybody, drafts for those who may edit them."""
