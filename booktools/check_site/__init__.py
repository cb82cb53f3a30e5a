"""Look at a built site as its readers will: `python -m booktools.check_site FOLDER`."""
