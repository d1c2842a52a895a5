"""The ledger on a Citus cluster of a coordinator and two workers."""
