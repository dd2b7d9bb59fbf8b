"""Deleting blobs and rows: for retention alone, with credentials that may. Whatever is gone already is a success."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from azbackup.errors import Missing, Unavailable
from azbackup.storage.azure.account import Account

_TRANSACTION_ROWS = 100
_NOBODY = "azbackup-may-this-be-deleted"  # no partition has a blob, and no row a name, like it
_HINT = (
    "retention needs credentials that may delete: run backup.py --retention-only with others, from another machine if "
    "you like (docs/operations.md, permissions)"
)


class AzureRemoval:
    """One container, and one partition of a table."""

    def __init__(self, account: Account, container: str, table: str, partition: str) -> None:
        self._account = account
        self._container = account.container(container)
        self._rows = account.table(table)
        self._table = table
        self._partition = partition

    def check(self) -> None:
        """Asks to delete a blob and a row that there are not. Raises Unavailable if that is not allowed."""
        try:
            self.blobs([_NOBODY])
            self.rows([_NOBODY])
        except Unavailable as error:
            if error.passing:
                raise
            raise Unavailable(
                f"these credentials may not delete, so nothing was removed: {error.message}", _HINT, error.code
            ) from None

    def blobs(self, names: Sequence[str]) -> None:
        """Deletes blobs one by one, with their snapshots of their own."""
        for name in names:
            blob = self._container.get_blob_client(name)
            try:
                self._account.call(f"blob {name}", partial(blob.delete_blob, delete_snapshots="include"))
            except Missing:
                continue

    def rows(self, names: Sequence[str]) -> None:
        """Deletes rows a hundred at a time; one by one where some of them are gone."""
        for at in range(0, len(names), _TRANSACTION_ROWS):
            group = names[at : at + _TRANSACTION_ROWS]
            try:
                self._delete(group)
            except Missing:
                for name in group if len(group) > 1 else ():
                    try:
                        self._delete([name])
                    except Missing:
                        continue

    def _delete(self, names: Sequence[str]) -> None:
        entities = [{"PartitionKey": self._partition, "RowKey": name} for name in names]
        delete: Callable[[], object] = partial(self._rows.delete_entity, self._partition, names[0])
        if len(entities) > 1:
            delete = partial(self._rows.submit_transaction, [("delete", entity) for entity in entities])
        self._account.call(f"row {names[0]}", delete, table=True)
