"""The documentation: pages in Markdown, and the two scripts that make a site of them."""
