"""`pointsman check`: does each route do what its name says, on the engine that it runs on?"""
