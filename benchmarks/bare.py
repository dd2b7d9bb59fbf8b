"""The SDK alone: puts blobs of given sizes, two at a time as azbackup does, and prints the seconds that this took.

`python -m benchmarks.bare CONTAINER SIZE...`, with AZURE_STORAGE_CONNECTION_STRING. Only the uploads count: neither
the start nor the imports, and the bytes are ready in memory.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from azure.storage.blob import ContainerClient

_AT_ONCE = 2
_LARGEST = 64 << 20


def _main(name: str, sizes: list[int]) -> None:
    noise = os.urandom(_LARGEST)
    blobs = [noise[:size] for size in sizes]
    container = ContainerClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"], name)
    with container, ThreadPoolExecutor(_AT_ONCE) as pool:
        started = time.perf_counter()
        puts = [pool.submit(container.upload_blob, f"{at:05}", blob) for at, blob in enumerate(blobs)]
        for put in puts:
            put.result()
        print(time.perf_counter() - started)


if __name__ == "__main__":
    _main(sys.argv[1], [int(size) for size in sys.argv[2:]])
