"""The websocket rung: does the path upgrade to WebSocket?"""
