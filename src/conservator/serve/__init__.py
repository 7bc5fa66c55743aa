"""The server: jobs, HTTP and MCP, all of them thin shells over the public calls. Needs the extra `server`."""
