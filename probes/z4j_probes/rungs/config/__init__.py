"""The config rung: are the settings complete and well formed?"""
