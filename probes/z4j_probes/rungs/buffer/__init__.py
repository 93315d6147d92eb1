"""The buffer rung: can this user write the event buffer here?"""
