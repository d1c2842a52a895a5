"""The demonstration, as somebody who has just cloned the project sees it."""
