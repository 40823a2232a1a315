"""How gradients go back: other rules for what rectifies, compiled blocks, and what MindSpore records."""
