"""A drawing as text: SVG, which browsers show, and Mermaid, which documentation tools draw."""
