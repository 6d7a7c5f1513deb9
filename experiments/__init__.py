"""Studies that answer a question once; nothing of `dass` or `flows` needs them."""
