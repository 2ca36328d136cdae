"""The nouns of the product as frozen values: import them from the module named for them."""
