"""What language models answer, in whatever form it comes."""
