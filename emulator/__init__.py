"""A stand-in for Azure that runs on one machine, for the demo and for the tests.

The tour: `azurite` runs the real Azurite; `archive` puts a proxy in front of it that plays what
Azurite leaves out, the slow archive tier and the faults of a network. `demo` shows the three
scripts at work. In the order of their imports, `archive` consists of

    wire      HTTP/1.1 over a socket
    traffic   what was asked, counted by billing class
    faults    which requests go wrong, and how
    thaws     what is thawing, and until when
    answers   answers that are made up or changed
    tiers     what real Azure does with archived blobs
    proxy     the relay between a client and Azurite

Nothing here is needed to use azbackup with Azure, and nothing in azbackup imports it.
"""
