"""What asks language models: a client for any server that speaks OpenAI's protocol, labels and rewriting."""
