"""What makes the book from its sources: the site's Sphinx extension, the twins, the suite, the fork tool."""
