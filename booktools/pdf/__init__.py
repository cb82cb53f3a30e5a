"""The book as one PDF: ``python -m booktools.pdf`` writes LaTeX with Sphinx and sets it with XeLaTeX."""
