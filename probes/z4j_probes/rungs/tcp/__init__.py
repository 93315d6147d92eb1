"""The tcp rung: does one of the addresses, or the proxy, accept a connection?"""
