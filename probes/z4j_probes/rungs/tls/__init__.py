"""The tls rung: does the certificate verify, for this name, with the runtime's trust store?"""
