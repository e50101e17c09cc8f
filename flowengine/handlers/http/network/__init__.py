"""Where connections may go, and how long they may take."""
