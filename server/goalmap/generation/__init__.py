"""What a language model is asked, how it is called, and which of its replies are accepted."""
