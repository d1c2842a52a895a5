"""The environment in which the command line is told who is at the keyboard."""

AS = "CARDSERVICE_STAFF"
KEY = "CARDSERVICE_STAFF_KEY"
PASSPHRASE_FILE = "CARDSERVICE_STAFF_PASSPHRASE_FILE"  # noqa: S105 - the name of a setting
