"""The routes of each dialect: a module or package each, found by being here."""
