"""One running process: sockets, start, signals, stop, and file watching."""
