"""The dns rung: does the host to connect to resolve, as the runtime resolves it?"""
