"""What is answered to those who ask: the shapes of the API, by what they speak of."""
